// Passkeys, to sign in with (also offered by the browser inside the e-mail field) and to make. What the authenticator
// says goes into the hidden field "credential" as JSON, in the shape of WebAuthn Level 3 §5.1, and the form is sent.
(() => {
  "use strict";
  const form = document.getElementById("passkey-form");
  const button = document.getElementById("passkey");
  const notice = document.getElementById("notice");
  if (!form || !button) return;
  const creating = form.dataset.create === "yes";
  const say = (text) => { notice.textContent = text || ""; };

  const bytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (c) => c.charCodeAt(0));
  };
  const base64url = (buffer) => {
    let plain = "";
    for (const b of new Uint8Array(buffer)) plain += String.fromCharCode(b);
    return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };

  // Browsers older than the JSON methods of WebAuthn Level 3 get the same by hand.
  const options = () => {
    const given = JSON.parse(form.dataset.options);
    const json = given.publicKey || given;
    const parse = creating ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON";
    if (PublicKeyCredential[parse]) return PublicKeyCredential[parse](json);
    const ids = (list) => (list || []).map((c) => ({ ...c, id: bytes(c.id) }));
    const out = { ...json, challenge: bytes(json.challenge) };
    if (json.user) out.user = { ...json.user, id: bytes(json.user.id) };
    if (json.allowCredentials) out.allowCredentials = ids(json.allowCredentials);
    if (json.excludeCredentials) out.excludeCredentials = ids(json.excludeCredentials);
    return out;
  };
  const written = (credential) => {
    try {
      return JSON.stringify(credential.toJSON());
    } catch {
      // no toJSON, or one of a password manager that does not work
    }
    const from = credential.response;
    const response = { clientDataJSON: base64url(from.clientDataJSON) };
    for (const member of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (from[member]) response[member] = base64url(from[member]);
    }
    if (from.getTransports) response.transports = from.getTransports();
    return JSON.stringify({
      id: credential.id,
      rawId: base64url(credential.rawId),
      type: credential.type,
      authenticatorAttachment: credential.authenticatorAttachment || undefined,
      clientExtensionResults: credential.getClientExtensionResults(),
      response,
    });
  };
  const send = (credential) => {
    form.elements.credential.value = written(credential);
    form.submit();
  };

  if (!window.PublicKeyCredential || !form.dataset.options) {
    if (creating) say(form.dataset.unsupported);
    return;
  }
  button.hidden = false;

  let waiting = null; // the offer inside the e-mail field; the browser allows one request at a time
  const ask = async () => {
    if (waiting) waiting.abort();
    waiting = null;
    say("");
    button.disabled = true;
    try {
      const request = { publicKey: options() };
      send(await (creating ? navigator.credentials.create(request) : navigator.credentials.get(request)));
    } catch (e) {
      const told = { NotAllowedError: "cancelled", AbortError: "cancelled", InvalidStateError: "exists", NotSupportedError: "unsupported" };
      say(form.dataset[told[e.name]] || form.dataset.error);
      button.disabled = false;
      button.focus();
      offer();
    }
  };
  const offer = async () => {
    const field = document.querySelector("input[autocomplete~=webauthn]");
    if (creating || !field || !PublicKeyCredential.isConditionalMediationAvailable) return;
    try {
      if (!(await PublicKeyCredential.isConditionalMediationAvailable())) return;
      if (waiting || button.disabled) return;
      const mine = new AbortController();
      waiting = mine;
      send(await navigator.credentials.get({ publicKey: options(), mediation: "conditional", signal: mine.signal }));
    } catch {
      // nobody asked for it, so nobody is told; the button remains
    }
  };
  button.addEventListener("click", ask);
  // A page that comes back from the browser's memory has its button as it was left.
  window.addEventListener("pageshow", (e) => { if (e.persisted) button.disabled = false; });
  offer();
})();
