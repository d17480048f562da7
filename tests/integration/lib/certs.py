"""Certificates of a test run, made with the openssl command line.

A Certs is one folder with an authority, and what it has issued. Keys are EC P-256: quick to make
and to use. Every path may go to segue, to libpq and (copied, see Cluster.enable_tls) to PostgreSQL.
"""

import datetime
import subprocess
from pathlib import Path
from types import SimpleNamespace

# The name has the shape of a Neon endpoint: libpq's wildcard rule is one whole leftmost label.
SERVER_NAMES = ("DNS:localhost", "IP:127.0.0.1", "IP:::1", "DNS:*.eu.aws.neon.example")

CONFIG = """\
[ca]
default_ca = authority
[authority]
dir = {folder}
database = $dir/index.txt
rand_serial = yes
new_certs_dir = $dir
certificate = $dir/ca.crt
private_key = $dir/ca.key
default_md = sha256
default_days = 30
default_crl_days = 30
unique_subject = no
policy = any
[any]
commonName = optional
organizationName = optional
[req]
distinguished_name = none
[none]
"""


def _run(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {args[0]}: {done.stderr}")
    return done.stdout


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder, name):
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o755)
        self.ca, self.ca_key = self.folder / "ca.crt", self.folder / "ca.key"
        self.crl = self.folder / "ca.crl"
        self.config = self.folder / "openssl.cnf"
        self.config.write_text(CONFIG.format(folder=self.folder), encoding="utf-8")
        (self.folder / "index.txt").touch()
        self._key(self.ca_key)
        _run("req", "-x509", "-new", "-key", self.ca_key, "-subj", f"/CN={name}", "-days", "30", "-config", self.config,
             "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-out", self.ca)
        self.write_crl()

    @staticmethod
    def _key(path):
        _run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        path.chmod(0o600)

    def issue(self, file, cn="", names=(), usage="serverAuth", days=(-1, 30)):
        """A certificate and its key, as .cert and .key; `days`: valid from and to, from now."""
        cert, key, request, extra = (self.folder / f"{file}.{end}" for end in ("crt", "key", "csr", "ext"))
        self._key(key)
        _run("req", "-new", "-key", key, "-subj", f"/CN={cn}" if cn else "/O=segue", "-config", self.config,
             "-out", request)
        lines = [f"extendedKeyUsage={usage}", "basicConstraints=CA:FALSE"]
        if names:
            lines.append("subjectAltName=" + ",".join(names))
        extra.write_text("\n".join(lines) + "\n", encoding="utf-8")
        start, end = ((datetime.datetime.utcnow() + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in days)
        _run("ca", "-batch", "-notext", "-config", self.config, "-extfile", extra, "-startdate", start, "-enddate", end,
             "-in", request, "-out", cert)
        return SimpleNamespace(cert=cert, key=key)

    def revoke(self, pair):
        _run("ca", "-config", self.config, "-revoke", pair.cert)
        self.write_crl()

    def write_crl(self):
        _run("ca", "-gencrl", "-config", self.config, "-out", self.crl)


class Certs(Authority):
    """The run's authority.

    .ca .crl            PEM files
    .server             .cert .key for localhost, 127.0.0.1, ::1 and *.eu.aws.neon.example
    .client(cn)         .cert .key of a client
    .revoked            a client's (CN app) that the CRL names
    .other              an authority that has issued nothing of the above
    .issue(file, ...)   another one
    """

    def __init__(self, folder):
        super().__init__(folder, "segue test authority")
        self.server = self.issue("server", "localhost", SERVER_NAMES)
        self.revoked = self._client_cert("revoked", "app")
        self.revoke(self.revoked)
        self.other = Authority(self.folder / "other", "another authority")
        self._clients = {}

    def _client_cert(self, file, cn):
        return self.issue(file, cn, usage="clientAuth")

    def client(self, cn):
        if cn not in self._clients:
            self._clients[cn] = self._client_cert(f"client{len(self._clients)}", cn)
        return self._clients[cn]

    def fingerprint(self, cert):
        """SHA-256 in lower-case hex."""
        out = _run("x509", "-in", cert, "-noout", "-fingerprint", "-sha256")
        return out.strip().split("=")[1].replace(":", "").lower()
