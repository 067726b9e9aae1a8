// FAPI 2.0 by hand. The client signs who it is, pushes its requests, and its tokens are bound to a key. Under Message
// Signing it signs the requests too, and takes only signed answers.
import * as oauth from 'oauth4webapi';
import { asked, twice } from './setup.mjs';
import { broken } from '../lib/forge.mjs';
import { privateKey } from '../lib/key.mjs';
import { behind } from '../lib/nonces.mjs';
import { browse, main, refused } from '../lib/talk.mjs';

main(async (p) => {
  const { key, kid } = await privateKey(p.key);
  const issuer = new URL(p.issuer), clientId = p.client_id, redirectURI = p.redirect_uri;
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
  const client = { client_id: clientId, id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256' };
  const auth = oauth.PrivateKeyJwt({ key, kid });
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'), behind(oauth.modifyAssertion, p.seconds));

  const { parameters, trip } = await asked(p, { dpop_jkt: await DPoP.calculateThumbprint() });
  let request = parameters;
  if (p.signed) {
    parameters.response_mode = 'jwt';
    request = { request: await oauth.issueRequestObject(as, client, parameters, { key, kid }) };
  }
  const pushed = await twice(
    () => oauth.pushedAuthorizationRequest(as, client, auth, request, { DPoP }),
    (response) => oauth.processPushedAuthorizationResponse(as, client, response));
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({ client_id: clientId, request_uri: pushed.answer.request_uri });
  const back = await browse(url);
  const validate = p.signed ? oauth.validateJwtAuthResponse : oauth.validateAuthResponse;
  const forged = p.signed && await refused(validate(as, client, broken(back), trip.state));
  const answer = await validate(as, client, back, trip.state);

  let response;
  const code = await twice(
    async () => response = await oauth.authorizationCodeGrantRequest(as, client, auth, answer, redirectURI, trip.verifier, { DPoP }),
    () => oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: trip.nonce, requireIdToken: true }));
  await oauth.validateApplicationLevelSignature(as, response);
  const claims = oauth.getValidatedIdTokenClaims(code.answer);

  const refresh = await twice(
    () => oauth.refreshTokenGrantRequest(as, client, auth, code.answer.refresh_token, { DPoP }),
    (response) => oauth.processRefreshTokenResponse(as, client, response));
  const info = await twice(
    () => oauth.userInfoRequest(as, client, refresh.answer.access_token, { DPoP }),
    (response) => oauth.processUserInfoResponse(as, client, claims.sub, response));
  const stolen = await refused(oauth.processRefreshTokenResponse(as, client,
    await oauth.refreshTokenGrantRequest(as, client, auth, refresh.answer.refresh_token)));
  const at = Object.entries({ '/par': pushed, '/token': code, '/userinfo': info }).filter(([, step]) => step.again).map(([path]) => path);
  return { claims, tokens: code.answer, refreshed: refresh.answer, userinfo: info.answer, url, back, forged, stolen, asked: at };
});
