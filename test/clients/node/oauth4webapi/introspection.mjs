// An app server asks what a token is worth, and keeps the signed answer (RFC 9701).
import * as oauth from 'oauth4webapi';
import { main } from '../lib/talk.mjs';

main(async (p) => {
  const issuer = new URL(p.issuer), id = p.client_id, secret = p.secret, token = p.token;
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
  const api = { client_id: id, introspection_signed_response_alg: 'ES256' };
  const response = await oauth.introspectionRequest(as, api, oauth.ClientSecretBasic(secret), token);
  const said = await oauth.processIntrospectionResponse(as, api, response);
  await oauth.validateApplicationLevelSignature(as, response);
  return said;
});
