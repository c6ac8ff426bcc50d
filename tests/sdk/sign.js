// Signatures by the published generator, one a line; the order is that of sign.py.
const { Api } = require("tls-sig-api-v2");

const [app, key, admin] = process.argv.slice(2);
const api = new Api(Number(app), key);
console.log(api.genSig(admin, 180 * 86400));
console.log(api.genPrivateMapKey(admin, 3600, 10000, 255));
console.log(api.genSig("bob", 3600));
console.log(new Api(Number(app), "another key").genSig(admin, 3600));
console.log(api.genSig(admin, 0));
