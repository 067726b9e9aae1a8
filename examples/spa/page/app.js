// Tokens live in this module's memory and nowhere else: a reload forgets them, and asks Countersign, where the person is
// still signed in (prompt=none).
import { ask, random, sha256 } from "./dpop.js";

const settings = await (await fetch("settings.json")).json();
const home = location.origin + "/"; // the registered redirect_uri
const find = (id) => document.getElementById(id);
const show = (id, visible = true) => { find(id).hidden = !visible; };
const tell = (text) => { find("problem").textContent = text; show("problem"); };
const server = await discover();

let tokens;

async function discover() {
	try {
		const found = await (await fetch(`${settings.issuer}/.well-known/openid-configuration`)).json();
		if (found.issuer !== settings.issuer) throw new Error("this is another issuer's document"); // RFC 8414 §3.3
		return found;
	} catch (e) {
		tell(`Countersign does not answer at ${settings.issuer}. Is it running? Then reload the page.`);
		throw e;
	}
}

// leave sends the browser to Countersign. silent: it comes back at once, signed in or not.
async function leave(silent) {
	const trip = { state: random(), nonce: random(), verifier: random(), silent };
	sessionStorage.setItem("trip", JSON.stringify(trip)); // of this tab; worth nothing without the code
	location.assign(`${server.authorization_endpoint}?${new URLSearchParams({
		response_type: "code", client_id: settings.client_id, redirect_uri: home, scope: settings.scope,
		state: trip.state, nonce: trip.nonce, code_challenge: await sha256(trip.verifier), code_challenge_method: "S256",
		...(silent && { prompt: "none" }),
	})}`);
}

// back takes up the answer. It returns an error code, or nothing where all is well.
async function back(answer) {
	const trip = JSON.parse(sessionStorage.getItem("trip") ?? "{}");
	sessionStorage.removeItem("trip");
	history.replaceState(null, "", home); // no code in the address, nor in what is sent from here
	if (!trip.state || answer.get("state") !== trip.state || answer.get("iss") !== settings.issuer) return "stale"; // RFC 9207
	if (answer.has("error")) return trip.silent ? "" : answer.get("error");
	const got = await token({
		grant_type: "authorization_code", code: answer.get("code"), redirect_uri: home, code_verifier: trip.verifier,
	});
	const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(got.id_token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0))));
	if (claims.iss !== settings.issuer || claims.aud !== settings.client_id || claims.nonce !== trip.nonce) return "wrong_id_token";
	tokens = got; // it came from the token endpoint itself, over TLS (OIDC Core §3.1.3.7 no. 6)
	return "";
}

async function token(form) {
	const body = new URLSearchParams({ client_id: settings.client_id, ...form });
	const answer = await ask(server.token_endpoint, { method: "POST", body });
	const json = await answer.json();
	if (!answer.ok) throw Object.assign(new Error(json.error_description), { code: json.error, status: answer.status });
	return json;
}

// renew replaces the tokens. Two at once would do no harm, but one is enough.
let renewing;
const renew = () => (renewing ??= token({ grant_type: "refresh_token", refresh_token: tokens.refresh_token })
	.then((fresh) => { tokens = { ...tokens, ...fresh }; find("renewals").textContent++; })
	.finally(() => { renewing = undefined; }));

// call asks the API, renewing once where the access token is over.
async function call(path) {
	for (let attempt = 1; ; attempt++) {
		const answer = await ask(settings.api + path, { token: tokens.access_token });
		if (answer.status !== 401 || attempt === 2) return answer;
		await renew();
	}
}

async function leaveForGood() {
	const { id_token: hint, refresh_token } = tokens;
	try {
		await fetch(server.revocation_endpoint, { method: "POST", body: new URLSearchParams({ client_id: settings.client_id, token: refresh_token }) });
	} catch {
		tell("You are still signed in: Countersign does not answer. Please try again.");
		return;
	}
	tokens = undefined;
	sessionStorage.setItem("left", "1"); // or the page would sign in again at once
	location.assign(`${server.end_session_endpoint}?${new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: home })}`);
}

// signedIn shows the page before it asks anybody: whoever is signed in can sign out, whatever does not answer.
async function signedIn() {
	find("token-type").textContent = tokens.token_type;
	show("signed-in");
	const who = await ask(server.userinfo_endpoint, { token: tokens.access_token }).then((answer) => answer.json()).catch(() => ({}));
	find("name").textContent = who.name ?? who.sub ?? "somebody (Countersign does not say who)";
	const todos = await call("/todos").then((answer) => answer.ok && answer.json()).catch(() => undefined);
	if (!todos) tell("Your list cannot be loaded: the API does not answer as it should. Is it running (go run ./examples/api)? Then reload the page.");
	for (const text of todos?.todos ?? []) {
		find("todos").append(Object.assign(document.createElement("li"), { textContent: text }));
	}
}

// over is what to say when a renewal fails. Only invalid_grant means that the person is signed out.
function over(e) {
	if (e.code !== "invalid_grant") return tell("The tokens could not be renewed. You are still signed in: please try again.");
	tokens = undefined;
	show("signed-in", false);
	show("sign-in");
	return tell("Your session is over. Please sign in again.");
}

// words is what went wrong, and the next step.
const words = (problem) => ({
	access_denied: "You turned back before you were signed in. Sign in when you are ready.",
	stale: "This sign-in took too long, or was begun in another tab. Please sign in again.",
}[problem] ?? `Signing in did not work (${problem}). Please try again.`);

find("sign-in").addEventListener("click", () => leave(false));
find("sign-out").addEventListener("click", leaveForGood);
find("renew").addEventListener("click", () => renew().catch(over));

const answer = new URLSearchParams(location.search);
if (!answer.has("state") && !sessionStorage.getItem("left")) {
	await leave(true);
} else {
	const problem = answer.has("state") ? await back(answer).catch((e) => e.message) : "";
	sessionStorage.removeItem("left");
	if (problem) tell(words(problem));
	if (tokens) await signedIn();
	else show("sign-in");
}
