#!/usr/bin/env python3
"""Lists what is below a folder: `listing.py FOLDER` prints it as JSON, and `listing.py --add TREE_JSON PATH FOLDER` adds
it to what a golden repository holds, `PATH` being its place in a restored snapshot.

Owners are left out, since only root restores them. Paths are written as FORMAT.md §7 writes them.
"""
import json, os, stat, sys

from blake3 import blake3

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def escaped(path):
    text = path.replace(b"%", b"%25").decode("utf-8", "surrogateescape")
    odd = lambda c: ord(c) < 0x20 or ord(c) == 0x7F or 0xDC80 <= ord(c) <= 0xDCFF
    return "".join(f"%{ord(c) & 0xFF:02X}" if odd(c) else c for c in text)


def paths(folder, below=b""):
    yield below
    for name in sorted(os.listdir(os.path.join(folder, below))):
        path = os.path.join(below, name)
        if os.path.isdir(os.path.join(folder, path)) and not os.path.islink(os.path.join(folder, path)):
            yield from paths(folder, path)
        else:
            yield path


def listing(folder):
    first = {}
    for path in paths(folder):
        where = os.path.join(folder, path)
        status = os.lstat(where)
        kind = KINDS[stat.S_IFMT(status.st_mode)]
        entry = {"path": escaped(path), "kind": kind, "mtime": status.st_mtime_ns}
        if kind == "symlink":
            entry["target"] = escaped(os.readlink(where))
        else:
            entry["mode"] = f"{stat.S_IMODE(status.st_mode):04o}"
        if kind == "file":
            entry["size"] = status.st_size
            if status.st_size:
                with open(where, "rb") as file:
                    entry["blake3"] = blake3(file.read()).hexdigest()
        if kind != "directory" and status.st_nlink > 1:
            entry["linked_to"] = first.setdefault(status.st_ino, entry["path"])
        names = sorted(os.listxattr(where, follow_symlinks=False))
        if names:
            entry["xattrs"] = {name: os.getxattr(where, name, follow_symlinks=False).hex() for name in names}
        yield entry


def main():
    entries = list(listing(os.fsencode(sys.argv[-1])))
    if sys.argv[1] == "--add":
        _, _, name, path, _ = sys.argv
        with open(name) as file:
            snapshots = json.load(file)
        text = json.dumps([*snapshots, {"path": path, "entries": entries}], ensure_ascii=False, separators=(",", ":"))
        with open(name, "w") as file:
            file.write(text.replace('{"path"', '\n{"path"') + "\n")  # a line each, so that a difference can be read
    else:
        json.dump(entries, sys.stdout)


if __name__ == "__main__":
    main()
