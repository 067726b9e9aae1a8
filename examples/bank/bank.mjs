// The server of a bank's web app: a client under FAPI 2.0. docs/fapi.md goes through it.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import * as client from 'openid-client';

const { values: flags } = parseArgs({ options: {
  issuer: { type: 'string', default: 'http://localhost:8080' },
  id: { type: 'string', default: 'bank' },
  port: { type: 'string', default: '3003' },
  api: { type: 'string', default: 'http://127.0.0.1:4000/todos' },
  'message-signing': { type: 'boolean', default: false }, // sign requests, and take only signed answers
  certificate: { type: 'boolean', default: false },       // mutual TLS instead of assertions and DPoP
} });
process.on('uncaughtException', (error) => { // what is missing, and the next step
  const next = {
    ENOENT: 'run sh examples/setup.sh from the repository\'s root', EADDRINUSE: 'end the other program, or choose another port with --port',
    DEPTH_ZERO_SELF_SIGNED_CERT: 'the server\'s certificate vouches for itself: start with NODE_EXTRA_CA_CERTS=examples/server.pem before node',
    ECONNREFUSED: 'Countersign is not running: ./countersign serve --config examples/countersign.yaml comes first',
  }[error.code ?? error.cause?.code];
  console.error(next ? `${(error.cause ?? error).message}\n${next}` : error);
  process.exit(1);
});
const file = (name) => readFileSync(new URL(`../${name}`, import.meta.url)); // of examples/, where setup.sh makes them
const home = `https://127.0.0.1:${flags.port}`;

// The key the bank signs with; the server knows its public half from bank.jwks.
const der = Buffer.from(file('bank.pem').toString().replace(/-----.*?-----/g, ''), 'base64');
const key = await crypto.subtle.importKey('pkcs8', der, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
const signing = { key, kid: '1' };

const metadata = { id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256' };
const options = { execute: [client.enableNonRepudiationChecks] }; // signatures count, not only the connection they came over
if (flags['message-signing']) options.execute.push(client.useJwtResponseMode);
if (flags.issuer.startsWith('http://localhost:')) options.execute.push(client.allowInsecureRequests); // never beyond this machine
if (flags.certificate) {
  metadata.use_mtls_endpoint_aliases = true;
  options[client.customFetch] = showing({ cert: file('bank-client.pem'), key: file('bank.pem') });
}
const auth = flags.certificate ? client.TlsClientAuth() : client.PrivateKeyJwt(signing);
const config = await client.discovery(new URL(flags.issuer), flags.id, metadata, auth, options);
const DPoP = flags.certificate ? undefined : client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));

const trips = new Map();  // by the cookie of a browser: what its answer must fit; yours is a table, and forgets after a while
const people = new Map(); // by the cookie of a browser: who is signed in

const routes = {
  '/': async (browser) => {
    const who = people.get(browser);
    if (!who) return page('<a id="sign-in" href="/login">Sign in</a>');
    if (who.tokens.expiresIn() < 30) {
      who.tokens = await client.refreshTokenGrant(config, who.tokens.refresh_token, undefined, { DPoP });
    }
    const api = await client.fetchProtectedResource(config, who.tokens.access_token, new URL(flags.api), 'GET', null, undefined, { DPoP })
      .then((answer) => answer.text(), (error) => `no answer: ${error.cause?.code ?? error.message}`);
    return page(`Signed in as <b id="who">${escape(who.name)}</b>, with a ${who.tokens.token_type} token. The API: <pre id="api">${escape(api)}</pre>`);
  },
  '/login': async (browser) => {
    const verifier = client.randomPKCECodeVerifier(), state = client.randomState(), nonce = client.randomNonce();
    let parameters = {
      redirect_uri: `${home}/callback`, scope: 'openid profile offline_access todos.read', state, nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    };
    if (flags['message-signing']) {
      parameters = (await client.buildAuthorizationUrlWithJAR(config, parameters, signing)).searchParams;
    }
    const url = await client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP }); // leaves them at /par
    trips.set(browser, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true });
    return { location: url.href };
  },
  '/callback': async (browser, url) => {
    const checks = trips.get(browser);
    if (!checks || !trips.delete(browser)) return page('This sign-in was not begun in this browser. <a href="/">Again</a>', 400);
    const tokens = await client.authorizationCodeGrant(config, url, checks, undefined, { DPoP });
    const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP });
    const signedIn = randomUUID(); // a new cookie for whoever is signed in
    people.set(signedIn, { name: info.name ?? info.sub, tokens });
    return { location: '/', browser: signedIn };
  },
};

createServer({ cert: file('bank-tls.pem'), key: file('bank-tls-key.pem') }, async (req, res) => {
  const browser = /__Host-bank=([0-9a-f-]{36})/.exec(req.headers.cookie)?.[1] ?? randomUUID();
  let answer;
  try {
    const url = new URL(home + req.url);
    answer = await routes[url.pathname]?.(browser, url) ?? page('There is nothing here.', 404);
  } catch (error) {
    console.error(error.error ?? error.code, error.error_description ?? error.message); // access_denied: the person turned back
    answer = page('Signing in did not work. <a href="/">Again</a>', 502);
  }
  res.setHeader('Set-Cookie', `__Host-bank=${answer.browser ?? browser}; Path=/; Secure; HttpOnly; SameSite=Lax`);
  if (answer.location) return res.writeHead(303, { location: answer.location }).end();
  return res.writeHead(answer.status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(answer.html);
}).listen(Number(flags.port), '127.0.0.1', () => console.error(`listening on ${home}`));

function page(content, status = 200) {
  return { status, html: `<!doctype html><html lang="en"><title>Bank</title><h1>Bank</h1><p>${content}</p></html>` };
}

function escape(words) {
  return words.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

// showing is a fetch that shows a client certificate.
function showing(certificate) {
  return (url, { method, headers, body }) => new Promise((resolve, reject) => {
    request(url, { ...certificate, method, headers }, async (answer) => {
      resolve(new Response(await text(answer) || null, { status: answer.statusCode, headers: answer.headers }));
    }).once('error', reject).end(body?.toString());
  });
}
