// DPoP (RFC 9449): every token is bound to a key that this page can use and not read. It lives as long as the page.

const bytes = (text) => new TextEncoder().encode(text);
export const base64url = (buffer) =>
	btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
export const sha256 = async (text) => base64url(await crypto.subtle.digest("SHA-256", bytes(text)));
export const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
const nonces = new Map(); // the newest of each server

async function proof(method, address, token) {
	const { origin, pathname } = new URL(address);
	const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
	const claims = { jti: random(), htm: method, htu: origin + pathname, iat: Math.floor(Date.now() / 1000) };
	if (nonces.has(origin)) claims.nonce = nonces.get(origin);
	if (token) claims.ath = await sha256(token);
	const text = [header, claims].map((part) => base64url(bytes(JSON.stringify(part)))).join(".");
	const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, bytes(text));
	return `${text}.${base64url(signature)}`;
}

// ask sends a request with a proof, and once more if the server wants its nonce in it.
export async function ask(address, { method = "GET", body, token } = {}) {
	for (let attempt = 1; ; attempt++) {
		const headers = { DPoP: await proof(method, address, token) };
		if (token) headers.Authorization = `DPoP ${token}`;
		const answer = await fetch(address, { method, body, headers });
		const nonce = answer.headers.get("DPoP-Nonce");
		if (nonce) nonces.set(new URL(address).origin, nonce);
		const wanted = (answer.headers.get("WWW-Authenticate") ?? "").includes("use_dpop_nonce") ||
			(answer.status === 400 && (await answer.clone().json()).error === "use_dpop_nonce");
		if (!wanted || attempt === 2) return answer;
	}
}
