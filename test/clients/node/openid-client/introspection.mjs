// An app server asks what a token is worth, and keeps the signed answer (RFC 9701).
import * as client from 'openid-client';
import { main } from '../lib/talk.mjs';

main(async (p) => {
  const issuer = new URL(p.issuer), id = p.client_id, secret = p.secret, token = p.token;
  const api = await client.discovery(issuer, id, { introspection_signed_response_alg: 'ES256' }, client.ClientSecretBasic(secret));
  client.enableNonRepudiationChecks(api);
  const said = await client.tokenIntrospection(api, token);
  return said;
});
