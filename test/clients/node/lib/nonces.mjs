// What a client with a slow clock hears of the server's nonces (RFC 9449 §8).

/** An option that dates DPoP proofs back; what else the client signs keeps the right time. */
export const behind = (modifyAssertion, seconds = 0) => ({ [modifyAssertion]: (_header, payload) => { payload.iat -= seconds; } });

/** A fetch that notes where the server asked for a proof with a nonce of its own. */
export function heard() {
  const at = new Set();
  const fetching = async (url, options) => {
    const answer = await fetch(url, options);
    const { error } = answer.status === 400 ? await answer.clone().json() : {};
    if (error === 'use_dpop_nonce' || answer.headers.get('www-authenticate')?.includes('use_dpop_nonce')) at.add(new URL(url).pathname);
    return answer;
  };
  return { fetching, at };
}
