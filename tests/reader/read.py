#!/usr/bin/env python3
"""A second reader of snap repositories, written from FORMAT.md alone, to prove that the page suffices.

It shares nothing with the program and never writes to a repository. `restore` stops at the first thing that is wrong,
`verify` names all that is and also cuts contents again (§11), so that the page's rules for writers are proven too.
Left out: recovery words, and metadata of objects, which a file system has no place for.
"""
import argparse, json, os, re, stat, struct, sys
from urllib.parse import unquote_to_bytes

from blake3 import blake3
from argon2.low_level import Type, hash_secret_raw

from repository import DELTA_MAX, HEX32, HEX64, MIB, PACK, Cursor, Repository
from repository import keyed, need, noting, padme, read_trailer, totals

RECUT_MAX = 64 * MIB  # cutting in Python takes a second per 10 MB, so longer contents are only added up
DOCUMENT = rf"s/{HEX32}(\.hb\.\d+)?|c/{HEX32}|f/{HEX32}|g/\d+(\.commit(\.copy)?)?"
DELTA = rf"i/\d+/{HEX32}-\d+|b/{HEX64}"
SPECIALS = {
    "Fifo": stat.S_IFIFO,
    "Socket": stat.S_IFSOCK,
    "BlockDevice": stat.S_IFBLK,
    "CharacterDevice": stat.S_IFCHR,
}
MEMBER, NOT_ZERO = re.compile(rb"PK(\x03\x04|\x01\x02)"), re.compile(rb"[^\x00]")
RECORDS = (b".jsonl", b".ndjson", b".sql", b".csv", b".tsv", b".log")


def unlocker(arguments):
    """§3. What turns a slot's kind and kdf into its slot secret, or none where the kind is another."""
    if arguments.key_file:
        with open(arguments.key_file, "rb") as file:
            line = file.read(66).decode("ascii")
        need(re.fullmatch(r"[0-9a-f]{64}\n?", line), "the key file is not a line of 64 hex digits")
        key = bytes.fromhex(line)
        return lambda kind, kdf: keyed(key, bytes.fromhex(kdf["salt"])) if kind == "key-file" else None
    password = os.environb[arguments.password_env.encode()] if arguments.password_env else b""

    def from_password(kind, kdf):
        if kind != "password":
            return None
        need(1 <= kdf["t"] <= 16 and kdf["m"] <= MIB and 1 <= kdf["p"] <= 16, "a key slot asks for too much work")
        cost = {"time_cost": kdf["t"], "memory_cost": kdf["m"], "parallelism": kdf["p"]}
        return hash_secret_raw(password, bytes.fromhex(kdf["salt"]), **cost, hash_len=32, type=Type.ID, version=0x13)

    return from_password


def restore(repository, wanted, target):
    snapshots = repository.snapshots()
    fits = snapshots[-1:] if wanted == "latest" else [s for s in snapshots if s["id"].startswith(wanted)]
    need(len(fits) == 1, f"{len(fits)} snapshots fit {wanted}")
    for resource in fits[0]["resources"]:
        if resource.get("root"):
            parts = unquote_to_bytes(resource["path"]).strip(b"/").split(b"/")
            need(b".." not in parts, "the path of a resource leads elsewhere")
            restore_resource(repository, bytes.fromhex(resource["root"]), os.path.join(os.fsencode(target), *parts))


def restore_resource(repository, root, base):
    os.makedirs(os.path.dirname(base), exist_ok=True)
    directories, links = {}, set()
    for item in repository.entries(root):
        path, entry = item.key, item.entry
        names = path.removesuffix(b"/").split(b"/")
        need(not path or (b"\0" not in path and not {b"", b".", b".."} & set(names)), f"{path}: an unsafe path")
        need(path.endswith(b"/") == (entry.kind == "Directory") or not path, f"{path}: only folders end in /")
        for depth in range(len(names) if path else 0):  # mkdir fails where a link or a file is in the way
            parent = b"".join(name + b"/" for name in names[:depth])
            if parent not in directories:
                directories[parent] = (os.path.join(base, parent.removesuffix(b"/")) if parent else base, None)
                os.mkdir(directories[parent][0])
        where = os.path.join(base, path.removesuffix(b"/")) if path else base
        linked = entry.posix and entry.posix["link_to"]
        if entry.kind == "Directory":
            os.mkdir(where, 0o700)
            directories[path] = (where, entry)
        elif linked is not None:
            need(linked in links, f"{path}: linked to what is not before it")
            os.link(os.path.join(base, linked), where, follow_symlinks=False)
        else:
            links.add(path)
            create(repository, where, entry)
            set_attributes(repository, where, entry)
    for where, entry in reversed(directories.values()):
        if entry:
            set_attributes(repository, where, entry)


def create(repository, where, entry):
    if entry.kind == "Symlink":
        os.symlink(entry.target, where)
    elif entry.kind in SPECIALS:
        os.mknod(where, SPECIALS[entry.kind] | 0o600, os.makedev(*entry.device))
    else:
        with open(where, "xb") as file:
            for part in repository.parts(entry.content):
                file.seek(part, 1) if isinstance(part, int) else file.write(part)
            file.truncate()


def set_attributes(repository, where, entry):
    if not (posix := entry.posix):
        return
    if os.geteuid() == 0:
        os.chown(where, posix["uid"], posix["gid"], follow_symlinks=False)
    for name, content in posix["xattrs"]:
        try:
            os.setxattr(where, name, whole(repository, content), follow_symlinks=False)
        except OSError as error:
            print(f"read.py: attribute {name} of {where}: {error}", file=sys.stderr)
    if entry.kind != "Symlink":
        os.chmod(where, stat.S_IMODE(posix["mode"]))
    os.utime(where, ns=(posix["modified"], posix["modified"]), follow_symlinks=False)


def whole(repository, content):
    return b"".join(bytes(part) for part in repository.parts(content))  # bytes(n) is n zeros


def verify(repository):
    problems, names, indexed = repository.damaged, sorted(repository.names()), {}
    for name in names:
        with noting(problems):
            verify_object(repository, name, indexed)
    done = set()
    with noting(problems):
        for resource in (resource for snapshot in repository.snapshots() for resource in snapshot["resources"]):
            if resource.get("root"):
                verify_resource(repository, resource, done, problems)
    problems += [f"packs/{pack}: used, but in no index delta" for pack in sorted(repository.used - indexed.keys())]
    return {"objects": len(names), "packs": len(repository.packs), "contents": len(done), "problems": problems}


def verify_object(repository, name, indexed):
    if re.fullmatch(rf"config|keys/{HEX32}", name):
        need(repository.read(name, MIB) == repository.read(name + ".copy", MIB), f"{name}: differs from its copy")
        repository.checksummed(name, 3 if name == "config" else 2, ())
    elif re.fullmatch(DOCUMENT, name):
        need(isinstance(repository.document(name), dict), f"{name}: not a JSON object")
    elif re.fullmatch(DELTA, name):
        hashed = blake3(repository.read(name, DELTA_MAX + 80)).hexdigest()
        need(name[0] == "i" or hashed == name[2:], f"{name}: does not hash to its name")
        verify_delta(repository, name, indexed)
    elif re.fullmatch(PACK, name):
        verify_pack(repository, name)
    else:
        need(re.fullmatch(rf"(config|keys/{HEX32})\.copy|reserve", name), f"{name}: an unknown object")


def verify_delta(repository, name, indexed):
    """§8. What it says of every pack is what the pack says."""
    cursor = Cursor(repository.sealed(name, DELTA_MAX), name)
    need(cursor.take(8) == b"SNAPIDX1", f"{name}: not an index delta")
    for _ in range(cursor.u32s(1)[0]):
        pack_id, (size,), header = cursor.take(32).hex(), cursor.u32s(1), cursor.take(64)
        trailer = cursor.take(cursor.u32s(1)[0])
        indexed[pack_id] = name
        need(pack_id in repository.packs, f"{name}: pack {pack_id} is missing or damaged")
        pack = repository.packs[pack_id]
        need((pack.header, pack.trailer) == (header, trailer), f"{name}: pack {pack_id} has another header or trailer")
        need(size == pack.size, f"{name}: pack {pack_id} has another size")
    cursor.end()


def verify_pack(repository, name):
    """§5. Every byte."""
    data, pack = repository.read(name, 256 * MIB), repository.packs.get(name[9:])
    need(blake3(data).hexdigest() == name[9:], f"{name}: does not hash to its name")
    need(pack, f"{name}: not a pack")
    for k, frame in enumerate(pack.frames):
        for identity, chunk in zip(frame.ids, repository.frame(name[9:], k)):
            hashed = keyed(repository.id_keys[pack.kind], chunk)
            need(hashed == identity, f"{name}: chunk {identity.hex()} does not hash to its id")
    _, end = read_trailer(pack.trailer, name)
    bare = len(data) - pack.padding
    need(data[end : end + pack.padding] == keyed(pack.key, b"padding", pack.padding), f"{name}: not its padding")
    need(len(data) in (padme(bare), -(-bare // 4096) * 4096), f"{name}: {bare} bytes padded to {len(data)}")


def verify_resource(repository, resource, done, problems):
    """§10, §11. Pages are checked as they are read; here totals and the cutting of every content."""
    items = repository.entries(bytes.fromhex(resource["root"]))
    said = tuple(resource["totals"][name] for name in ("entries", "files", "bytes"))
    need((totals(items) or (0, 0, 0)) == said, f"{resource['path']}: totals differ from the snapshot's")
    for item in items:
        with noting(problems):
            verify_content(repository, item.entry.content, item.key if item.entry.kind == "File" else None, done)
        attributes = item.entry.posix["xattrs"] if item.entry.posix else []
        names = [name for name, _ in attributes]
        need(names == sorted(set(names)), f"{item.key}: attributes out of order")
        for _, content in attributes:
            with noting(problems):
                verify_content(repository, content, None, done)


def verify_content(repository, content, path, done):
    """`path` is none for an extended attribute."""
    pieces = repository.pieces(content)
    inline_max = 512 if path is not None else 256
    need(len(content.inline) <= inline_max, f"{path}: {len(content.inline)} bytes are inline")
    same = (content.profile, path and profile_of(path, b""), *((piece.id, piece.totals) for piece in pieces))
    if not content.profile or same in done:
        return
    done.add(same)
    if content.size > RECUT_MAX:
        need(sum(1 for _ in repository.parts(content)), f"{path}: no pieces")
        return
    data = whole(repository, content)
    profile = profile_of(path, data) if path is not None else content.profile
    need(len(data) > inline_max and content.profile == profile, f"{path}: {len(data)} bytes are cut as {content.profile}")
    cuts = list(cut(data, profile, repository.config["chunker"][profile], repository.key("chunker")))
    need(cuts == [(piece.totals[0], not piece.id) for piece in pieces], f"{path}: is cut elsewhere than it must")


def profile_of(path, data):
    return "zip" if data.startswith(b"PK\3\4") else "record" if path.endswith(RECORDS) else "bulk"


def cut(data, profile, sizes, key):
    """§11. The lengths of the pieces, and which are runs of zeros."""
    (a, b), least, most, start = struct.unpack("<II", key[:8]), sizes["min"], sizes["max"], 0
    while rest := len(data) - start:
        length, is_run = min(rest, most), False
        member = MEMBER.search(data, start + sizes["member_min"], start + most + 4) if profile == "zip" else None
        if rest >= most and not data.count(0, start, start + most) < most:
            other = NOT_ZERO.search(data, start)
            length, is_run = other.start() - start if other else rest, True
        elif member:
            length = member.start() - start
        elif rest > most:
            hashes = [((x ^ a) * (b | 1)) & 0xFFFFFFFF for x in windows(data, start + least - 4, most - least + 1)]
            length = least + hashes.index(min(hashes))
            line_end = data.find(b"\n", start + length, start + most)
            if profile == "record" and line_end >= 0:
                length = line_end + 1 - start
        yield length, is_run
        start += length


def windows(data, start, count):
    """The u32 at each of `count` neighbouring bytes."""
    windows = [0] * count
    for shift in range(min(4, count)):
        windows[shift::4] = struct.unpack_from(f"<{len(range(shift, count, 4))}I", data, start + shift)
    return windows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository")
    secret = parser.add_mutually_exclusive_group(required=True)
    secret.add_argument("--password-env", metavar="VARIABLE")
    secret.add_argument("--key-file")
    secret.add_argument("--no-password", action="store_true")
    commands = parser.add_subparsers(dest="command", required=True)
    restoring = commands.add_parser("restore")
    restoring.add_argument("snapshot")
    restoring.add_argument("target")
    commands.add_parser("list")
    commands.add_parser("verify")
    arguments, problems = parser.parse_args(), []
    with noting(problems):
        repository = Repository(arguments.repository, unlocker(arguments))
        if arguments.command == "restore":
            restore(repository, arguments.snapshot, arguments.target)
        elif arguments.command == "list":
            print(json.dumps(repository.snapshots(), indent=1))
        else:
            report = verify(repository)
            print(json.dumps(report, indent=1))
            problems += report["problems"]
    for problem in problems:
        print(f"read.py: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
