// A native app by hand, bound to a key, on a phone whose clock is two minutes slow: every first proof is refused with
// use_dpop_nonce, and the app repeats the request with the nonce it was given.
import * as oauth from 'oauth4webapi';
import { begin, discover, options, twice } from './setup.mjs';
import { browse, main } from '../lib/talk.mjs';

main(async (p) => {
  const as = await discover(p.issuer);
  const client = { client_id: p.client_id };
  const keys = await oauth.generateKeyPair('ES256');
  // a handle remembers the last nonce; a new one for each step makes the server ask each time
  const proving = () => ({ ...options, DPoP: oauth.DPoP({ [oauth.clockSkew]: p.skew }, keys) });
  const trip = await begin(as, p, { dpop_jkt: await proving().DPoP.calculateThumbprint() });
  const parameters = oauth.validateAuthResponse(as, client, await browse(trip.url), trip.state);

  const exchange = proving();
  const code = await twice(
    () => oauth.authorizationCodeGrantRequest(as, client, oauth.None(), parameters, p.redirect_uri, trip.verifier, exchange),
    (response) => oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: trip.nonce, requireIdToken: true }));
  const claims = oauth.getValidatedIdTokenClaims(code.answer);

  const renewal = proving();
  const refresh = await twice(
    () => oauth.refreshTokenGrantRequest(as, client, oauth.None(), code.answer.refresh_token, renewal),
    (response) => oauth.processRefreshTokenResponse(as, client, response));

  const question = proving();
  const info = await twice(
    () => oauth.userInfoRequest(as, client, refresh.answer.access_token, question),
    (response) => oauth.processUserInfoResponse(as, client, claims.sub, response));
  const again = { code: code.again, refresh: refresh.again, userinfo: info.again };
  return { claims, tokens: code.answer, refreshed: refresh.answer, userinfo: info.answer, again };
});
