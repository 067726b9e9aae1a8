// A client registers itself with a token it was given, signs somebody in, changes its name, and takes itself away.
import * as oauth from 'oauth4webapi';
import { asked, twice } from './setup.mjs';
import { described, manage, renamed } from '../lib/manage.mjs';
import { browse, main, refused } from '../lib/talk.mjs';

main(async (p) => {
  const issuer = new URL(p.issuer), initialAccessToken = p.initial_access_token;
  const pair = await oauth.generateKeyPair('ES256');
  const metadata = described(p, await crypto.subtle.exportKey('jwk', pair.publicKey));
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
  const register = async () => oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(as, metadata, { initialAccessToken }));
  const client = await register();
  const auth = oauth.PrivateKeyJwt({ key: pair.privateKey, kid: 'one' });
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));

  const { parameters, trip } = await asked({ ...p, client_id: client.client_id });
  const pushed = await oauth.processPushedAuthorizationResponse(as, client,
    await oauth.pushedAuthorizationRequest(as, client, auth, parameters, { DPoP }));
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({ client_id: client.client_id, request_uri: pushed.request_uri });
  const answer = oauth.validateAuthResponse(as, client, await browse(url), trip.state);
  const response = await oauth.authorizationCodeGrantRequest(as, client, auth, answer, p.redirect_uri, trip.verifier, { DPoP });
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: trip.nonce, requireIdToken: true });
  await oauth.validateApplicationLevelSignature(as, response);
  const refresh = async () => oauth.processRefreshTokenResponse(as, client,
    await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token, { DPoP }));
  const refreshed = await refresh();

  const read = await manage(client, 'GET');
  const updated = await manage(client, 'PUT', renamed(read.body, 'Another name'));
  const gone = [(await manage(client, 'DELETE')).status, (await manage(client, 'GET')).status, await refused(refresh())];
  const again = await refused(register());
  return { tokens, refreshed, registered: client, read: read.body, updated: updated.body, gone, again };
});
