// FAPI 2.0 with certificates: one authenticates the client, and its tokens are bound to that very one. The library goes to
// the addresses of mtls_endpoint_aliases by itself; the certificate is shown by fetch.
import * as client from 'openid-client';
import { asked, use } from './setup.mjs';
import { fetchShowing } from '../lib/certificate.mjs';
import { privateKey } from '../lib/key.mjs';
import { browse, main, refused } from '../lib/talk.mjs';

main(async (p) => {
  const issuer = new URL(p.issuer), clientId = p.client_id, certificate = p.certificate;
  const config = await client.discovery(issuer, clientId, {
    use_mtls_endpoint_aliases: true,
    id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256',
  }, client.TlsClientAuth(), { [client.customFetch]: fetchShowing(certificate) });
  client.enableNonRepudiationChecks(config);

  let { parameters, checks } = await asked(p);
  if (p.signed) {
    client.useJwtResponseMode(config);
    const signed = await client.buildAuthorizationUrlWithJAR(config, parameters, await privateKey(p.key));
    parameters = signed.searchParams;
  }
  const url = await client.buildAuthorizationUrlWithPAR(config, parameters);
  const back = await browse(url);
  const tokens = await client.authorizationCodeGrant(config, back, checks);

  const result = await use(config, tokens);
  config[client.customFetch] = fetch; // whoever has the tokens and no certificate
  const { sub } = result.claims, { access_token, refresh_token } = result.refreshed;
  const stolen = [await refused(client.fetchUserInfo(config, access_token, sub)), await refused(client.refreshTokenGrant(config, refresh_token))];
  return { ...result, url, back, stolen };
});
