// Signs one request with the named npm package: JSON in on stdin, JSON out on stdout.
import { createHash, randomUUID, webcrypto } from "node:crypto";
import { text } from "node:stream/consumers";
import { appendSignature, createSignature } from "http-message-sig";
import { generateNonce, signatureHeaders } from "web-bot-auth";
import { signerFromJWK } from "web-bot-auth/crypto";

const wish = JSON.parse(await text(process.stdin));
const now = new Date();
const headers = new Headers();
const components = ["@method", "@target-uri", "@authority"];
if (wish.body) {
  const digest = createHash("sha256").update(wish.body).digest("base64");
  headers.set("content-type", "application/json");
  headers.set("content-digest", `sha-256=:${digest}:`);
  components.push("content-type", "content-digest");
}
const request = new Request(wish.url, { method: wish.method, headers, body: wish.body ?? undefined });

async function withHttpMessageSig() {
  const key = await webcrypto.subtle.importKey("jwk", wish.jwk, "Ed25519", false, ["sign"]);
  const signer = {
    algorithm: "ed25519",
    sign: async (base) => new Uint8Array(await webcrypto.subtle.sign("Ed25519", key, base)),
  };
  const created = Math.floor(now.getTime() / 1000);
  const parameters = { created, keyid: wish.keyid, alg: "ed25519", nonce: randomUUID(), tag: "datafold" };
  const fields = await createSignature(request, { label: "sig1", components, parameters, signer });
  return appendSignature(request.headers, fields);
}

async function withWebBotAuth() {
  const signer = await signerFromJWK(wish.jwk);
  const expires = new Date(now.getTime() + 60_000);
  const fields = await signatureHeaders(request, signer, { created: now, expires, nonce: generateNonce(), components });
  const signed = new Headers(request.headers);
  signed.set("signature", fields["Signature"]);
  signed.set("signature-input", fields["Signature-Input"]);
  return signed;
}

const signed = await { "http-message-sig": withHttpMessageSig, "web-bot-auth": withWebBotAuth }[wish.package]();
process.stdout.write(JSON.stringify(Object.fromEntries(signed)));
