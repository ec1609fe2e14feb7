// The old client of Cognito Sync, as apps in the field have it: amazon-cognito-js on aws-sdk v2, with a local store in memory.
//
// It takes one command a line on standard input, as JSON, and answers each with a line. Arguments: end point, pool, identity,
// access key, secret.
const AWS = require('aws-sdk');
const items = new Map();
const store = {
  getItem: (key) => (items.has(key) ? items.get(key) : null),
  setItem: (key, value) => items.set(key, String(value)),
  removeItem: (key) => items.delete(key),
};
global.AWS = AWS;
global.window = { AWS, localStorage: new Proxy(store, { ownKeys: () => [...items.keys()] }) };
const [endpoint, pool, identity, key, secret] = process.argv.slice(2);
const credentials = new AWS.Credentials(key, secret);
credentials.params = { IdentityPoolId: pool };
credentials.identityId = identity;
AWS.config.update({ region: 'us-east-1', credentials, cognitosync: { endpoint }, maxRetries: 0 });
require('amazon-cognito-js');

const manager = new AWS.CognitoSyncManager();
const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n');

function synchronize(dataset) {
  let conflicts = 0;
  dataset.synchronize({
    onSuccess: () => say({ synchronized: true, conflicts }),
    onFailure: (error) => say({ synchronized: false, conflicts, error: String(error) }),
    onConflict: (_, found, callback) => {
      conflicts += found.length;
      const resolved = found.map((conflict) => conflict.resolveWithLocalRecord());
      dataset.resolve(resolved, () => callback(true));
    },
    onDatasetDeleted: (_, name, callback) => callback(true),
    onDatasetMerged: (_, names, callback) => callback(false),
    onDatasetsMerged: (_, names, callback) => callback(false),
  });
}

manager.openOrCreateDataset('notes', (error, dataset) => {
  if (error) throw error;
  const done = (error) => say(error ? { error: String(error) } : {});
  const commands = {
    put: ({ key, value }) => dataset.put(key, value, done),
    remove: ({ key }) => dataset.remove(key, done),
    all: () => dataset.getAll((error, all) => say(error ? { error: String(error) } : all)),
    synchronize: () => synchronize(dataset),
    // What JSON.stringify(localStorage) returns in a browser.
    storage: () => say(Object.fromEntries(items)),
  };
  const lines = require('readline').createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  });
  say({});
});
