// htmx writes a small style element of its own; it gets the page's nonce, as every other style has.
htmx.config.inlineStyleNonce = document.currentScript.nonce;
