// Verifies one delivered request with the published Standard Webhooks library.
// Usage: node verify.js FILE, where FILE holds {"secret","headers","body"}.
const fs = require('fs');
const { Webhook } = require('standardwebhooks');

const { secret, headers, body } = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const payload = new Webhook(secret).verify(body, headers);
console.log(JSON.stringify({ verified: true, event: payload.event }));

let refused = false;
try {
  new Webhook(secret).verify(body + ' ', headers);
} catch (error) {
  refused = true;
}
if (!refused) throw new Error('a changed body verified');
