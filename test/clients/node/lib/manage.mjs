// What a client does with its own registration (RFC 7592), for which the libraries have no functions.
export async function manage({ registration_client_uri, registration_access_token }, method, members) {
  const answer = await fetch(registration_client_uri, {
    method, body: members && JSON.stringify(members),
    headers: { authorization: `Bearer ${registration_access_token}`, ...members && { 'content-type': 'application/json' } },
  });
  return { status: answer.status, body: answer.status === 204 ? undefined : await answer.json() };
}

/** The registration under another name: what the server answered, but for what is the server's alone to say. */
export function renamed(client, client_name) {
  const { registration_access_token, registration_client_uri, client_secret_expires_at, client_id_issued_at, ...members } = client;
  return { ...members, client_name };
}

/** What a confidential client of high stakes says of itself. */
export const described = (p, publicKey) => ({
  client_name: 'Registered', redirect_uris: [p.redirect_uri], scope: p.scope, grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [{ ...publicKey, kid: 'one' }] },
  id_token_signed_response_alg: 'ES256', require_pushed_authorization_requests: true, dpop_bound_access_tokens: true,
});
