"""Signatures by the published generator, one a line; the order is that of sign.js."""

import sys

from TLSSigAPIv2 import TLSSigAPIv2

app, key, admin = int(sys.argv[1]), sys.argv[2], sys.argv[3]
api = TLSSigAPIv2(app, key)
print(api.gen_sig(admin))
print(api.gen_sig_with_userbuf(admin, 3600, b"abc"))
print(api.gen_sig("bob", 3600))
print(TLSSigAPIv2(app, "another key").gen_sig(admin))
print(api.gen_sig(admin, 0))
