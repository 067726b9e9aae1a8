// Native sign-in by hand, without a key: Google's id_token for our nonce, and our tokens in exchange (RFC 8693).
import * as oauth from 'oauth4webapi';
import { discover, options } from './setup.mjs';
import { credential, main } from '../lib/talk.mjs';

main(async (p) => {
  const as = await discover(p.issuer);
  const client = { client_id: p.client_id };
  const challenge = await fetch(as.challenge_endpoint, { method: 'POST', body: new URLSearchParams({ client_id: p.client_id }) });
  const { nonce } = await challenge.json();
  const response = await oauth.genericTokenEndpointRequest(as, client, oauth.None(), 'urn:ietf:params:oauth:grant-type:token-exchange', {
    subject_token: await credential(nonce), subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    nonce, scope: p.scope, resource: p.resource,
  }, options);
  const tokens = await oauth.processGenericTokenEndpointResponse(as, client, response);
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  const refreshed = await oauth.processRefreshTokenResponse(as, client,
    await oauth.refreshTokenGrantRequest(as, client, oauth.None(), tokens.refresh_token, options));
  const userinfo = await oauth.processUserInfoResponse(as, client, claims.sub,
    await oauth.userInfoRequest(as, client, refreshed.access_token, options));
  return { claims, tokens, refreshed, userinfo };
});
