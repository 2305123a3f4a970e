"""What every answer tells a browser: security headers, the Content-Security-Policy, and CORS."""
