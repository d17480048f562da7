"""A segue for which host names mean what a file of the test says.

Needs root: it runs in a mount namespace of its own (unshare -m), in which /etc/resolv.conf and /etc/hosts are files of the test. The
machine's own are not touched.
"""

MOUNTS = 'mount --make-rprivate / && mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'


def looks_up_in(proxy, conf, hosts):
    """For one that was not started yet. What the file `hosts` says may change meanwhile, in place."""
    usual = proxy.command
    proxy.command = lambda: ["unshare", "-m", "sh", "-c", MOUNTS, "sh", str(conf), str(hosts), *usual()]
    return proxy
