// FAPI 2.0 by hand, with certificates: one authenticates the client, and its tokens are bound to that very one.
import * as oauth from 'oauth4webapi';
import { asked } from './setup.mjs';
import { fetchShowing } from '../lib/certificate.mjs';
import { privateKey } from '../lib/key.mjs';
import { browse, main, refused } from '../lib/talk.mjs';

main(async (p) => {
  const issuer = new URL(p.issuer), clientId = p.client_id, certificate = p.certificate, redirectURI = p.redirect_uri;
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
  const client = {
    client_id: clientId, use_mtls_endpoint_aliases: true,
    id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256',
  };
  const auth = oauth.TlsClientAuth();
  const showing = { [oauth.customFetch]: fetchShowing(certificate) }; // with every request

  const { parameters, trip } = await asked(p);
  let request = parameters;
  if (p.signed) {
    parameters.response_mode = 'jwt';
    request = { request: await oauth.issueRequestObject(as, client, parameters, await privateKey(p.key)) };
  }
  const pushed = await oauth.processPushedAuthorizationResponse(as, client,
    await oauth.pushedAuthorizationRequest(as, client, auth, request, showing));
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({ client_id: clientId, request_uri: pushed.request_uri });
  const back = await browse(url);
  const validate = p.signed ? oauth.validateJwtAuthResponse : oauth.validateAuthResponse;
  const answer = await validate(as, client, back, trip.state);
  const response = await oauth.authorizationCodeGrantRequest(as, client, auth, answer, redirectURI, trip.verifier, showing);
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: trip.nonce, requireIdToken: true });
  await oauth.validateApplicationLevelSignature(as, response);
  const claims = oauth.getValidatedIdTokenClaims(tokens);

  const refreshed = await oauth.processRefreshTokenResponse(as, client,
    await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token, showing));
  const userinfo = await oauth.processUserInfoResponse(as, client, claims.sub,
    await oauth.userInfoRequest(as, client, refreshed.access_token, showing));
  const stolen = [ // by somebody without a certificate
    await refused(oauth.userInfoRequest(as, client, refreshed.access_token).then((r) => oauth.processUserInfoResponse(as, client, claims.sub, r))),
    await refused(oauth.refreshTokenGrantRequest(as, client, auth, refreshed.refresh_token).then((r) => oauth.processRefreshTokenResponse(as, client, r))),
  ];
  return { claims, tokens, refreshed, userinfo, url, back, stolen };
});
