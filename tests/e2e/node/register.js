// The script that a developer would copy from the tutorial: registers a webhook with Node's own
// https module. The body goes out chunked, without Content-Length; `events` is left out.
// Usage: node register.js PORT API_TOKEN URL
const https = require('https');

const [port, token, url] = process.argv.slice(2);

const request = https.request({
  hostname: 'localhost',
  port: port,
  path: '/v1/webhooks',
  method: 'POST',
  headers: {
    'Content-Type': 'application/json',
    Authorization: `Bearer ${token}`,
  },
}, (response) => {
  let body = '';
  response.setEncoding('utf8');
  response.on('data', (chunk) => { body += chunk; });
  response.on('end', () => {
    console.log(JSON.stringify({ status: response.statusCode, body: JSON.parse(body) }));
  });
});

request.on('error', (error) => {
  console.error(error.message);
  process.exitCode = 1;
});

request.write(JSON.stringify({ custom_name: 'My first webhook', url }));
request.end();
