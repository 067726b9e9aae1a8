// The page knows no token. Every call goes to its own origin, with a header that other sites cannot send.
const ask = (path, options = {}) => fetch(path, { ...options, headers: { ...options.headers, "X-BFF": "1" } });
const show = (id) => { document.getElementById(id).hidden = false; };

const problem = new URLSearchParams(location.search).get("problem");
if (problem) {
	document.getElementById("problem").textContent = `You are not signed in (${problem}).`;
	show("problem");
	history.replaceState(null, "", "/");
}

document.getElementById("sign-out").addEventListener("click", async () => {
	const answer = await ask("/bff/logout", { method: "POST" });
	location.assign((await answer.json()).go);
});

const user = await ask("/bff/user");
if (user.ok) {
	const who = await user.json();
	document.getElementById("name").textContent = who.name ?? who.sub;
	show("signed-in");
	const todos = await ask("/api/todos");
	for (const text of todos.ok ? (await todos.json()).todos : ["(The list is not to be had.)"]) {
		document.getElementById("todos").append(Object.assign(document.createElement("li"), { textContent: text }));
	}
} else {
	show("sign-in");
}
