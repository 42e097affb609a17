"""The packages in a copy of this system: copy_test.py FOLDER-OF-PACKAGES. Root's. Nothing of the system itself changes: the copy is
a layer over it in a mount namespace of its own, without a network, and is gone at the end."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PACKAGES = None  # the folder

# Makes the layer, and becomes a shell in it that reads commands. /run and /proc/sys are the copy's, so no running service and no
# setting of the kernel is in reach.
ENTER = r"""
set -e
mount -t tmpfs copy "$1"
mkdir "$1/upper" "$1/work" "$1/root" "$1/packages"
mount -t overlay copy -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mkdir -p "$1/root/packages"
mount --bind "$2" "$1/root/packages"
mount -t tmpfs run "$1/root/run"
mount --bind /dev "$1/root/dev"
mount -t proc proc "$1/root/proc"
mount --bind -o ro "$1/root/proc/sys" "$1/root/proc/sys"
mount -o remount,ro,bind "$1/root/proc/sys"
exec chroot "$1/root" env DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true PATH="$PATH" sh -c "$3"
"""

# What may be left of an earlier installation by hand goes first.
CLEAN = "userdel obit 2>/dev/null; dpkg -P obit obit-debuginfod >/dev/null 2>&1; rm -rf /etc/obit /var/lib/obit /var/cache/obit; "


def in_copy(commands):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--propagation", "private", "sh", "-c", ENTER, "sh",
                               folder, str(PACKAGES), "set -e; " + CLEAN.replace("; ", " || true; ") + commands],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)  # fmt: skip
    if done.returncode != 0:
        raise AssertionError(f"{commands}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Copy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        first, second = sorted(PACKAGES.glob("obit_*.deb"), key=lambda path: "newer" in path.name)
        cls.older, cls.newer = f"/packages/{first.name}", f"/packages/{second.name}"
        (extra,) = PACKAGES.glob("obit-debuginfod_*[0-9]_*.deb")
        cls.extra = f"/packages/{extra.name}"

    def test_what_is_installed_works(self):
        out = in_copy(f"""dpkg -i {self.older} {self.extra} >/dev/null
                          obit --version; obitd --version; id -un obit; id -gn obit
                          stat -c '%U %G %a' /var/lib/obit /etc/obit/hooks.d /etc/obit/obit.toml
                          ls /usr/libexec/obit; obit config; zcat /usr/share/man/man1/obit.1.gz | head -1""")
        self.assertIn("obit\nobit\nobit obit 755\nroot root 755\nroot root 644\n", out)
        for program in ("obit-analyze", "obit-debuginfod", "obit-pipe"):
            self.assertIn(program, out)

    def test_an_edited_configuration_survives_an_upgrade(self):
        out = in_copy(f"""dpkg -i {self.older} >/dev/null
                          printf '[capture]\\nslots = 7\\n' > /etc/obit/obit.toml
                          touch /etc/obit/hooks.d/own
                          dpkg -i {self.newer} >/dev/null
                          cat /etc/obit/obit.toml; ls /etc/obit/hooks.d; dpkg-query -W -f '${{Version}}\\n' obit""")
        self.assertRegex(out, r"slots = 7\nown\n.*newer\n$")

    def test_doctor_looks_at_configuration_and_hooks(self):
        out = in_copy(f"""dpkg -i {self.older} >/dev/null
                          cd /etc/obit/hooks.d; for hook in 10-mine 20-open; do echo '#!/bin/sh' > $hook; chmod 755 $hook; done
                          obit doctor | grep -E '^(configuration|hooks) '
                          chmod 777 20-open; obit doctor | grep '^hooks '
                          mkdir ../obit.toml.d; printf '[capture]\nslot = 1\n' > ../obit.toml.d/10.toml
                          obit doctor | grep -A1 '^configuration '; obit config || true""")
        self.assertRegex(out, r"configuration +as it comes +ok.*\nhooks +/etc/obit/hooks.d: 2 programs +ok\n")
        self.assertRegex(out, r"hooks +/etc/obit/hooks.d +warn.*20-open: others than root")
        self.assertRegex(out, r'configuration +FAIL.*\n?.*10.toml:2: unknown key "slot"')

    def test_remove_keeps_and_purge_takes_all(self):
        out = in_copy(f"""dpkg -i {self.older} >/dev/null
                          mkdir -p /var/lib/obit/crashes/2026-01-01 /var/cache/obit
                          dpkg -r obit >/dev/null; ls -d /var/lib/obit/crashes/2026-01-01 /etc/obit/obit.toml; ! command -v obitd
                          dpkg -P obit >/dev/null
                          for path in /var/lib/obit /var/cache/obit /etc/obit; do [ ! -e $path ] || echo "left: $path"; done
                          dpkg -L obit 2>/dev/null || echo nothing""")
        self.assertEqual(out, "/etc/obit/obit.toml\n/var/lib/obit/crashes/2026-01-01\nnothing\n")

    def test_links_of_the_pages_lead_to_what_is_installed(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["dpkg-deb", "-x", PACKAGES / pathlib.Path(self.older).name, folder], check=True)
            pages = sorted(pathlib.Path(folder, "usr/share/doc/obit").glob("**/*.md"))
            links = [(page, target) for page in pages
                     for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"(?ms)^```.*?^```", "", page.read_text()))]  # fmt: skip
            self.assertGreater(len(links), 5)
            broken = [f"{page.name}: {target}" for page, target in links
                      if ":" not in target and not (page.parent / (target.partition("#")[0] or page.name)).exists()]  # fmt: skip
            self.assertEqual(broken, [])
            # A page that was packed would be missing above.
            self.assertIn("service.md", [page.name for page in pages])

    def test_completions_complete(self):
        """In the shells themselves."""
        out = in_copy(f"""dpkg -i {self.older} >/dev/null
                          bash -c '. /usr/share/bash-completion/bash_completion; . /usr/share/bash-completion/completions/obit
                                   COMP_WORDS=(obit sh) COMP_CWORD=1 COMP_LINE="obit sh" COMP_POINT=7
                                   _obit obit sh obit; echo "bash: ${{COMPREPLY[*]}}"'
                          fish -c 'complete -C "obit sh"' | sed 's/^/fish: /'
                          zsh -fc 'autoload -U compinit; compinit -u; whence -v _obit; print "zsh: ${{_comps[obit]}}"' """)
        self.assertRegex(out, r"(?m)^bash: show$")
        self.assertRegex(out, r"(?m)^fish: show\b")
        self.assertRegex(out, r"(?m)^zsh: _obit$")


if __name__ == "__main__":
    PACKAGES = pathlib.Path(sys.argv.pop(1)).resolve()
    if os.geteuid() != 0:
        sys.exit("needs root: it mounts")
    unittest.main(verbosity=2)
