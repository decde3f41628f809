// Asks for a passkey where a page says what for: one that signs, or a new one. What the browser answers goes into the
// form of the page, and the console reads it. Without this script there is no passkey: the page says what else works.
// Nothing hangs on it: the console verifies what it is sent. No text is ever read as markup here.
"use strict";

(() => {
  const SECONDS = 120;
  const VERIFIED = "required";
  // ECDSA on P-256 with SHA-256, the one algorithm that SSH signatures know of passkeys.
  const ES256 = -7;

  const form = document.getElementById("passkey");
  const button = document.getElementById("use-passkey");
  const outcome = document.getElementById("passkey-outcome");
  const asked = form.dataset;

  function bytes(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  function text(buffer) {
    return btoa(String.fromCharCode(...new Uint8Array(buffer)));
  }

  function random() {
    return crypto.getRandomValues(new Uint8Array(32));
  }

  // No list of credentials: the passkey itself knows whose it is, and the console tells nothing of who has which.
  async function sign() {
    const { response } = await navigator.credentials.get({
      publicKey: {
        challenge: bytes(asked.challenge),
        rpId: asked.rpId,
        userVerification: VERIFIED,
        timeout: SECONDS * 1000,
      },
    });
    return {
      authenticator: text(response.authenticatorData),
      client: text(response.clientDataJSON),
      signature: text(response.signature),
    };
  }

  async function register() {
    const { response } = await navigator.credentials.create({
      publicKey: {
        challenge: random(),
        rp: { id: asked.rpId, name: "Bailiwick" },
        // An id of its own, so that a new passkey takes no other's place before a registrar knows it.
        user: { id: random(), name: asked.userName, displayName: asked.userName },
        pubKeyCredParams: [{ type: "public-key", alg: ES256 }],
        authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: VERIFIED },
        attestation: "none",
        timeout: SECONDS * 1000,
      },
    });
    return { key: text(response.getPublicKey()) };
  }

  async function press() {
    button.disabled = true;
    outcome.textContent = "Your browser asks you now.";
    try {
      const answer = await (asked.challenge ? sign() : register());
      Object.entries(answer).forEach(([name, value]) => (form.elements[name].value = value));
      outcome.textContent = "";
      // Sends no event of submitting: what must be filled in was filled in here.
      form.submit();
    } catch (error) {
      outcome.textContent = `There is no ${asked.challenge ? "signature" : "passkey"}: ${error.message}`;
      button.disabled = false;
    }
  }

  if (window.PublicKeyCredential) {
    outcome.textContent = "";
    button.addEventListener("click", press);
    button.disabled = false;
  } else {
    outcome.textContent = "This browser has no passkeys.";
  }
})();
