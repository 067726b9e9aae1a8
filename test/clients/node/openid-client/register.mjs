// A client registers itself with a token it was given, signs somebody in, changes its name, and takes itself away.
import * as client from 'openid-client';
import { asked, use } from './setup.mjs';
import { described, manage, renamed } from '../lib/manage.mjs';
import { browse, main, refused } from '../lib/talk.mjs';

main(async (p) => {
  const issuer = new URL(p.issuer), initialAccessToken = p.initial_access_token;
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const metadata = described(p, await crypto.subtle.exportKey('jwk', pair.publicKey));
  const auth = client.PrivateKeyJwt({ key: pair.privateKey, kid: 'one' });
  const config = await client.dynamicClientRegistration(issuer, metadata, auth, { initialAccessToken });
  const registered = { ...config.clientMetadata() };
  client.enableNonRepudiationChecks(config);
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));

  const { parameters, checks } = await asked(p);
  const back = await browse(await client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP }));
  const result = await use(config, await client.authorizationCodeGrant(config, back, checks, undefined, { DPoP }), { DPoP });

  const read = await manage(registered, 'GET');
  const updated = await manage(registered, 'PUT', renamed(read.body, 'Another name'));
  const gone = [
    (await manage(registered, 'DELETE')).status, (await manage(registered, 'GET')).status,
    await refused(client.refreshTokenGrant(config, result.refreshed.refresh_token, undefined, { DPoP })),
  ];
  const again = await refused(client.dynamicClientRegistration(issuer, metadata, auth, { initialAccessToken }));
  return { ...result, registered, read: read.body, updated: updated.body, gone, again };
});
