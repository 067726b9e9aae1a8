// The page knows no token. Every call goes to its own origin, with a header that other sites cannot send.
const ask = (path, options = {}) => fetch(path, { ...options, headers: { ...options.headers, "X-BFF": "1" } });
const show = (id) => { document.getElementById(id).hidden = false; };
const tell = (text) => { document.getElementById("problem").textContent = text; show("problem"); };

const problem = new URLSearchParams(location.search).get("problem");
if (problem) {
	history.replaceState(null, "", "/");
	tell({
		access_denied: "You turned back before you were signed in. Sign in when you are ready.",
		stale: "This sign-in took too long, or was begun in another tab. Please sign in again.",
	}[problem] ?? `Signing in did not work (${problem}). Please try again.`);
}

document.getElementById("sign-out").addEventListener("click", async () => {
	try {
		const answer = await ask("/bff/logout", { method: "POST" });
		location.assign((await answer.json()).go);
	} catch {
		tell("You are still signed in: this app's server does not answer. Please try again.");
	}
});

// list shows the todos, or why there are none and what to do.
async function list() {
	const todos = await ask("/api/todos");
	if (!todos.ok) {
		tell(todos.status === 401 ? "You are signed out. Reload the page and sign in again."
			: "Your list cannot be loaded: the API does not answer as it should. Is it running (go run ./examples/api)? Then reload the page.");
		return;
	}
	for (const text of (await todos.json()).todos) {
		document.getElementById("todos").append(Object.assign(document.createElement("li"), { textContent: text }));
	}
}

try {
	const user = await ask("/bff/user");
	if (user.ok) {
		const who = await user.json();
		document.getElementById("name").textContent = who.name ?? who.sub;
		show("signed-in");
		await list();
	} else {
		show("sign-in");
	}
} catch {
	tell("This app's server does not answer. Please reload the page.");
}
