// A confidential client by hand: code, ID token with its signature verified, refresh, userinfo; then an app server asks
// what the token is worth, the client revokes it, and the app server asks again.
import * as oauth from 'oauth4webapi';
import { begin, discover, options } from './setup.mjs';
import { browse, main } from '../lib/talk.mjs';

main(async (p) => {
  const as = await discover(p.issuer);
  const client = { client_id: p.client_id };
  const auth = oauth.ClientSecretBasic(p.secret);
  const trip = await begin(as, p);
  const parameters = oauth.validateAuthResponse(as, client, await browse(trip.url), trip.state);
  const response = await oauth.authorizationCodeGrantRequest(as, client, auth, parameters, p.redirect_uri, trip.verifier, options);
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: trip.nonce, requireIdToken: true });
  await oauth.validateApplicationLevelSignature(as, response, options);
  const claims = oauth.getValidatedIdTokenClaims(tokens);

  const refreshed = await oauth.processRefreshTokenResponse(as, client,
    await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token, options));
  const userinfo = await oauth.processUserInfoResponse(as, client, claims.sub,
    await oauth.userInfoRequest(as, client, refreshed.access_token, options));

  const before = await introspect(as, p, refreshed.access_token);
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, refreshed.refresh_token, options));
  const after = await introspect(as, p, refreshed.access_token);
  return { claims, tokens, refreshed, userinfo, before, after };
});

async function introspect(as, { resource_id, resource_secret }, token) {
  const me = { client_id: resource_id };
  return oauth.processIntrospectionResponse(as, me,
    await oauth.introspectionRequest(as, me, oauth.ClientSecretBasic(resource_secret), token, options));
}
