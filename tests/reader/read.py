#!/usr/bin/env python3
"""A second reader of snap repositories, written from FORMAT.md alone, to prove that the page suffices:

    read.py REPOSITORY env:VARIABLE|file:KEY_FILE|none list|restore SNAPSHOT TARGET

It shares nothing with the program, never writes to a repository, and ends with an exception at the first thing that is
wrong. Section numbers are the page's. Clear before fast: maps are in memory whole, and chunks are found by the trailers
of the packs, so no index is trusted. Where contents and pages must be cut is in verify.py; what objects say is skipped.
"""
import functools, json, os, re, stat, struct, sys
from collections import namedtuple
from datetime import datetime
from urllib.parse import unquote_to_bytes

from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from crc32c import crc32c
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from zstandard import ZstdDecompressor, frame_content_size

KIB, MIB, HEX32 = 1 << 10, 1 << 20, "[0-9a-f]{32}"
DOCUMENT_MAX, TRAILER_MAX, PACK_MAX, CHUNK_MAX, FRAME_MAX = 64 * MIB, 64 * MIB, 256 * MIB, 8 * MIB, 16 * MIB
PACK = r"packs/([0-9a-f]{2})/(\1[0-9a-f]{62})"
CIPHERS = {1: AESGCM, 2: ChaCha20Poly1305}
KINDS = "File Directory Symlink BlockDevice CharacterDevice Fifo Socket Object Document".split()
MODES = {"BlockDevice": stat.S_IFBLK, "CharacterDevice": stat.S_IFCHR, "Fifo": stat.S_IFIFO, "Socket": stat.S_IFSOCK}
PROFILES = "bulk record zip".split()

Frame = namedtuple("Frame", "stored plain method at ids lengths")  # at: where its sync word begins in the pack
Pack = namedtuple("Pack", "name size header padding trailer key frames cipher kind")
Content = namedtuple("Content", "profile size inline pieces root")  # a run of zeros is a piece without id
Item = namedtuple("Item", "key id totals size entry", defaults=[None])  # size: encoded; totals: as in InnerItem
Entry = namedtuple("Entry", "kind target device posix content")

class Damage(Exception):
    """What was read is not what the format allows, or not what was written."""

def need(condition, message):
    if not condition:
        raise Damage(message)

def derive(purpose, secret):
    return blake3(secret, derive_key_context="snap-backup 2026 v1 " + purpose).digest()

def keyed(key, data, length=32):
    return blake3(data, key=key).digest(length=length)

def open_sealed(cipher, key, nonce, text, additional, what):
    try:
        return CIPHERS[cipher](key).decrypt(nonce, text, additional)
    except InvalidTag:
        raise Damage(f"{what}: does not authenticate") from None

def unpacked(method, body, length, what):
    need(method in (0, 1), f"{what}: unknown method {method}")
    if method == 1:  # a frame of unknown length says -1, and is held to the length that is wanted
        need(frame_content_size(body) in (-1, length), f"{what}: the compressed length is another")
        body = ZstdDecompressor(max_window_size=1 << 27).decompress(body, length, allow_extra_data=False)
    need(len(body) == length, f"{what}: {len(body)} bytes, not {length}")
    return body

class Cursor:
    """Reads a structure from its front. It accepts one encoding of each integer only, and no bytes after the end."""

    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what

    def take(self, count):
        need(count <= len(self.data) - self.at, f"{self.what}: ends early")
        self.at += count
        return self.data[self.at - count : self.at]
    def u32s(self, count):
        return struct.unpack(f"<{count}I", self.take(4 * count))

    def varint(self, bits=64):
        first = self.take(1)[0]
        if first < 251:
            return first
        value = int.from_bytes(self.take(2 << (first - 251)), "little")
        need(value >= {251: 251, 252: 1 << 16, 253: 1 << 32}[first], f"{self.what}: integer longer than needed")
        need(value < 1 << bits, f"{self.what}: integer above {bits} bits")
        return value
    def u32(self):
        return self.varint(32)

    def time(self):
        zigzag, nanoseconds = self.varint(), self.u32()
        need(nanoseconds < 10**9, f"{self.what}: more than a second of nanoseconds")
        return (zigzag >> 1 ^ -(zigzag & 1)) * 10**9 + nanoseconds
    def bytes(self):
        return self.take(self.varint())
    def text(self):
        return self.bytes().decode("utf-8")
    def choice(self, count):
        value = self.u32()
        need(value < count, f"{self.what}: unknown variant {value}")
        return value
    def option(self, read):
        return read() if self.choice(2) else None
    def list(self, read):
        return [read() for _ in range(self.varint())]  # each takes a byte at least, so it ends with the data

def read_trailer(trailer, what):
    """§5. The frames of a pack, checked against each other, and where they end."""
    cursor, at, frames = Cursor(trailer, what), 64, []
    frame_count, chunk_count = cursor.u32s(2)
    need(frame_count * 16 + chunk_count * 36 == len(trailer) - 8, f"{what}: counts do not fit its length")
    heads = [cursor.u32s(4) for _ in range(frame_count)]
    need(sum(head[2] for head in heads) == chunk_count, f"{what}: chunk counts do not add up")
    ids = [[cursor.take(32) for _ in range(head[2])] for head in heads]
    for (stored, plain, count, method), ids in zip(heads, ids):
        lengths = cursor.u32s(count)
        fits = stored <= plain <= FRAME_MAX and count <= 262_144 and max(lengths, default=0) <= CHUNK_MAX
        need(fits, f"{what}: frame or chunk too long")
        need(sum(lengths) + 4 * count + 4 == plain, f"{what}: lengths do not add up")
        frames.append(Frame(stored, plain, method, at, ids, lengths))
        at += 8 + 28 + stored + 16
    return frames, at

def read_content(c):
    """§10."""
    form = c.choice(4)
    inline = c.bytes() if form == 1 else b""
    need(len(inline) <= 512 and (inline or form != 1), f"{c.what}: inline content of {len(inline)} bytes")
    profile = PROFILES[c.choice(3)] if form > 1 else None
    if form == 3:
        return Content(profile, c.varint(), b"", [], c.take(32))
    pieces = c.list(lambda: read_piece(c)) if form == 2 else []
    need(len(pieces) <= 16, f"{c.what}: {len(pieces)} pieces in an entry")
    return Content(profile, len(inline) + sum(piece.totals[0] for piece in pieces), inline, pieces, None)

def read_piece(c):
    start = c.at
    identity, length = (None, c.varint()) if c.choice(2) else (c.take(32), c.u32())
    need(length > 0 and (identity is None or length <= CHUNK_MAX), f"{c.what}: piece of {length} bytes")
    return Item(b"", identity, (length, 1), c.at - start)

def read_metadata(c):
    form = c.choice(3)
    if form == 1:
        return {"mode": c.u32(), "uid": c.u32(), "gid": c.u32(), "user": c.option(c.text), "group": c.option(c.text),
                "modified": c.time(), "xattrs": c.list(lambda: (c.bytes(), read_content(c))),
                "link_to": c.option(c.bytes), "flags": c.u32()}  # fmt: skip
    if form == 2:
        pairs = lambda: c.list(lambda: (c.text(), c.text()))
        _ = c.time(), c.option(c.text), c.option(c.text), pairs(), pairs()
        need(c.take(1)[0] < 2, f"{c.what}: a marker is 0 or 1")

def read_leaf_item(c, previous):
    start, shared, suffix = c.at, c.varint(), c.bytes()
    path = previous[:shared] + suffix
    need(shared == len(os.path.commonprefix([previous, path])), f"{c.what}: wrong shared prefix")
    need(len(path) <= 65_536, f"{c.what}: path too long")
    kind = KINDS[c.choice(len(KINDS))]
    target = c.bytes() if kind == "Symlink" else b""
    device = (c.u32(), c.u32()) if kind.endswith("Device") else (0, 0)
    posix = read_metadata(c)
    c.option(lambda: c.bytes() if c.choice(2) else (c.time(), c.varint()))
    content = read_content(c)
    totals = (1, int(kind in ("File", "Object", "Document")), content.size)
    return Item(path, None, totals, c.at - start, Entry(kind, target, device, posix, content))

def read_page(c, is_list):
    """§10. Its level and items."""
    inner, items = c.choice(2), []
    level = c.take(1)[0] if inner else 0
    need(level <= 63 and (level or not inner), f"{c.what}: level {level}")
    for _ in range(c.varint()):
        start = c.at
        if level:
            key, page = b"" if is_list else c.bytes(), c.take(32)
            items.append(Item(key, page, tuple(c.varint() for _ in range(2 if is_list else 3)), c.at - start))
        else:
            items.append(read_piece(c) if is_list else read_leaf_item(c, items[-1].key if items else b""))
    need(c.at == len(c.data), f"{c.what}: bytes after the end")
    return level, items

class Repository:
    """Objects opened by name, chunks and pages by id."""

    def __init__(self, folder, secret):
        self.folder = folder
        line, mac, _ = self.lines_or_copy("config", 3)
        self.config = json.loads(line)
        self.id, features = bytes.fromhex(self.config["id"]), self.config["features"]["incompatible"]
        need(self.config["magic"] == "snap repository" and len(self.id) == 16, "config: not of a snap repository")
        need(self.config["version"] == 1 and not features, f"a newer program is needed {features}")
        self.roots = self.unlock(*secret)
        need(mac == b"mac " + keyed(self.key("config"), line).hex().encode(), "config: tampered with")
        self.id_keys = {1: self.key("chunk id"), 2: self.key("page id")}

    def key(self, purpose, epoch=0):
        return derive(purpose, self.roots[epoch])

    def names(self):
        for folder, _, files in os.walk(self.folder):
            yield from (os.path.relpath(os.path.join(folder, file), self.folder) for file in files)

    def read(self, name, most):
        with open(os.path.join(self.folder, name), "rb") as file:
            need(os.fstat(file.fileno()).st_size <= most, f"{name}: longer than {most} bytes")
            return file.read()

    def lines(self, name, count):
        data = self.read(name, 64 * KIB)
        lines = data.split(b"\n")
        need(len(lines) == count + 1 and not lines[-1], f"{name}: not {count} lines")
        need(lines[-2] == b"blake3 " + blake3(data[:-72]).hexdigest().encode(), f"{name}: wrong checksum")
        return lines[:-1]

    def lines_or_copy(self, name, count):
        """§2, §3. The lines of the object, or of its copy where it is missing or damaged."""
        try:
            return self.lines(name, count)
        except (Damage, OSError):
            return self.lines(name + ".copy", count)

    def unlock(self, kind, given):
        """§3. The root secrets, from the first slot that the password or key fits."""
        for slot in sorted({name[5:37] for name in self.names() if re.fullmatch(rf"keys/{HEX32}(\.copy)?", name)}):
            document = json.loads(self.lines_or_copy("keys/" + slot, 2)[0])
            if document["kind"] != kind:
                continue
            kdf, salt = document["kdf"], bytes.fromhex(document["kdf"]["salt"])
            if kind == "key-file":
                secret = keyed(given, salt)
            else:
                need(1 <= kdf["t"] <= 16 and kdf["m"] <= MIB and 1 <= kdf["p"] <= 16, f"{slot} asks for too much work")
                secret = hash_secret_raw(given, salt, kdf["t"], kdf["m"], kdf["p"], 32, Type.ID, 0x13)
            if derive("slot commitment", secret + self.id).hex() == document["commitment"]:
                wrapped, additional = bytes.fromhex(document["wrapped"]), self.id + bytes.fromhex(slot)
                roots = open_sealed(1, derive("slot wrap", secret), bytes(12), wrapped, additional, f"keys/{slot}")
                need(roots and len(roots) % 32 == 0, f"keys/{slot}: not a list of secrets")
                return [roots[at : at + 32] for at in range(0, len(roots), 32)]
        raise Damage("no key slot opens under this secret")

    def sealed(self, name, most=DOCUMENT_MAX):
        """§6."""
        data = self.read(name, most + 80)
        magic, version, method, cipher, wrap, epoch, length, zeros, salt = struct.unpack("<8s4BIQ8s32s", data[:64])
        good = (magic, version, wrap, zeros) == (b"SNAPSEAL", 1, 0, bytes(8)) and length <= most
        need(good, f"{name}: not a sealed object of at most {most} bytes")
        key, additional = keyed(self.key("objects", epoch), salt), self.id + data[:64] + ("b/" if name[:2] == "b/" else name).encode()
        return unpacked(method, open_sealed(cipher, key, bytes(12), data[64:], additional, name), length, name)

    def snapshots(self):
        """§7. The cells that count, oldest first."""
        names, found = set(self.names()), []
        latest = max((int(n[2:-7]) for n in names if re.fullmatch(r"g/\d+\.commit", n)), default=0)
        live = json.loads(self.sealed(f"g/{latest}.commit"))["live"] if latest else []
        for name in sorted(n for n in names if re.fullmatch(rf"c/{HEX32}", n) and "f" + n[1:] not in names):
            cell = json.loads(self.sealed(name))
            if cell["state"] == "snapshot" and (cell["epoch"] >= latest or name[2:] in live):
                found.append({"id": name[2:], "epoch": cell["epoch"], **cell["snapshot"]})
        return sorted(found, key=lambda s: (datetime.fromisoformat(s["time"]), s["time"]))  # text has nanoseconds too

    def pack(self, name):
        """§5. Header, trailer and footer."""
        data = self.read(name, PACK_MAX)
        need(blake3(data).hexdigest() == name[9:], f"{name}: does not hash to its name")
        length, padding, crc, end = struct.unpack("<3I4s", data[-16:])
        need(end == b"SNPT" and 16 <= length <= min(TRAILER_MAX + 16, len(data) - 80), f"{name}: not a footer")
        header, sealed = data[:64], data[-16 - length : -16]
        magic, version, kind, cipher, wrap, epoch, zeros, salt = struct.unpack("<8s4BI16s32s", header)
        good = (magic, version, wrap, zeros) == (b"SNAPPACK", 1, 0, bytes(16)) and kind in (1, 2)
        need(good and crc32c(sealed) == crc, f"{name}: damaged header or trailer")
        key = keyed(self.key("data packs" if kind == 1 else "page packs", epoch), salt)
        trailer = open_sealed(cipher, key, struct.pack("<QI", 2**32 - 1, 0), sealed, self.id + header, name)
        frames, end = read_trailer(trailer, name)
        need(end + padding + length + 16 == len(data), f"{name}: its parts do not add up to its size")
        return Pack(name, len(data), header, padding, trailer, key, frames, cipher, kind)

    @functools.cached_property
    def packs(self):
        return {name[9:]: self.pack(name) for name in sorted(self.names()) if re.fullmatch(PACK, name)}

    @functools.cached_property
    def places(self):
        return {(pack.kind, identity): (pack_id, k, n) for pack_id, pack in self.packs.items()
                for k, frame in enumerate(pack.frames) for n, identity in enumerate(frame.ids)}  # fmt: skip

    @functools.lru_cache(maxsize=64)
    def frame(self, pack_id, k):
        """§5. The chunks of a frame."""
        pack, what = self.packs[pack_id], f"{pack_id}: frame {k}"
        frame, additional = pack.frames[k], self.id + pack.header
        cursor = Cursor(self.read(pack.name, PACK_MAX)[frame.at :], what)
        sync, head, body = cursor.take(8), cursor.take(28), cursor.take(frame.stored + 16)
        need(sync == keyed(pack.key, b"sync" + struct.pack("<Q", k))[:8], f"{what}: wrong sync word")
        head = open_sealed(pack.cipher, pack.key, struct.pack("<QI", k, 0), head, additional, what)
        need(struct.unpack("<3I", head) == (frame.method, frame.stored, frame.plain), f"{what}: not as in the trailer")
        body = open_sealed(pack.cipher, pack.key, struct.pack("<QI", k, 1), body, additional, what)
        cursor = Cursor(unpacked(frame.method, body, frame.plain, what), what)
        chunks = [cursor.take(length) for length in frame.lengths]
        need(cursor.u32s(len(chunks) + 1) == (*frame.lengths, len(chunks)), f"{what}: lengths differ from the trailer")
        return chunks

    def chunk(self, kind, identity):
        need((kind, identity) in self.places, f"{'chunk' if kind == 1 else 'page'} {identity.hex()} is missing")
        pack_id, k, n = self.places[kind, identity]
        chunk = self.frame(pack_id, k)[n]
        need(keyed(self.id_keys[kind], chunk) == identity, f"{pack_id}: chunk {identity.hex()} does not hash to its id")
        return chunk

    def leaves(self, page, is_list, under=None):
        """§10. The items of a map or chunk list, in order; `under` is what the page above says of this one."""
        level, items = read_page(Cursor(self.chunk(2, page), f"page {page.hex()}"), is_list)
        totals = tuple(map(sum, zip(*(item.totals for item in items))))
        need(under in (None, (level, totals)), f"page {page.hex()}: differs from what is said of it")
        return [leaf for i in items for leaf in (self.leaves(i.id, is_list, (level - 1, i.totals)) if level else [i])]

    def pieces(self, content):
        pieces = self.leaves(content.root, True) if content.root else content.pieces
        size = len(content.inline) + sum(piece.totals[0] for piece in pieces)
        need(size == content.size, f"a chunk list of {size} bytes, not {content.size}")
        return pieces

    def parts(self, content):
        """The bytes of a content in order, and the lengths of its runs of zeros."""
        if content.inline:
            yield content.inline
        for piece in self.pieces(content):
            part = self.chunk(1, piece.id) if piece.id else piece.totals[0]
            need(not piece.id or len(part) == piece.totals[0], "a chunk differs in length from what is said of it")
            yield part

def restore(repository, wanted, target):
    fits = [snapshot for snapshot in repository.snapshots() if snapshot["id"].startswith(wanted)]
    need(len(fits) == 1, f"{len(fits)} snapshots fit {wanted}")
    for resource in fits[0]["resources"]:
        if resource["coverage"]["state"] != "failed":
            parts = unquote_to_bytes(resource["path"]).strip(b"/").split(b"/")
            need(b".." not in parts, "the path of a resource leads elsewhere")
            restore_resource(repository, bytes.fromhex(resource["root"]), os.path.join(os.fsencode(target), *parts))

def restore_resource(repository, root, base):
    os.makedirs(os.path.dirname(base), exist_ok=True)
    folders, others = {}, set()
    for item in repository.leaves(root, False):
        path, entry, is_folder = item.key, item.entry, item.entry.kind == "Directory"
        names = path.removesuffix(b"/").split(b"/") if path else []
        need(b"\0" not in path and not {b"", b".", b".."} & set(names), f"{path}: an unsafe path")
        need(not path or path.endswith(b"/") == is_folder, f"{path}: only folders end in /")
        for depth in range(len(names) + is_folder):
            if (folder := os.path.join(base, *names[:depth])) not in folders:
                os.mkdir(folder)  # which fails where a link or a file is in the way
                folders[folder] = None
        where = os.path.join(base, *names)
        if is_folder:
            folders[where] = entry
        elif entry.posix and entry.posix["link_to"] is not None:
            first = os.path.join(base, entry.posix["link_to"])
            need(first in others, f"{path}: linked to what is not before it")
            os.link(first, where, follow_symlinks=False)
        else:
            create(repository, where, entry)
            set_attributes(repository, where, entry)
            others.add(where)
    for where, entry in reversed(folders.items()):  # when nothing in them changes any more
        set_attributes(repository, where, entry)

def create(repository, where, entry):
    if entry.kind == "Symlink":
        os.symlink(entry.target, where)
    elif entry.kind in MODES:
        os.mknod(where, MODES[entry.kind] | 0o600, os.makedev(*entry.device))
    else:
        with open(where, "xb") as file:
            for part in repository.parts(entry.content):
                file.seek(part, 1) if isinstance(part, int) else file.write(part)
            file.truncate()

def set_attributes(repository, where, entry):
    if not (posix := entry and entry.posix):
        return
    if os.geteuid() == 0:
        os.chown(where, posix["uid"], posix["gid"], follow_symlinks=False)
    for name, content in posix["xattrs"]:
        os.setxattr(where, name, b"".join(map(bytes, repository.parts(content))), follow_symlinks=False)
    if entry.kind != "Symlink":
        os.chmod(where, stat.S_IMODE(posix["mode"]))
    os.utime(where, ns=(posix["modified"], posix["modified"]), follow_symlinks=False)

def secret_named(name):
    """The kind of slot that it opens, and the password or key."""
    form, _, value = name.partition(":")
    if form == "file":
        with open(value) as file:
            return "key-file", bytes.fromhex(file.read(66))
    return "password", os.environb[value.encode()] if form == "env" else b""

if __name__ == "__main__":
    folder, secret, command, *rest = sys.argv[1:]
    os.umask(0o077)
    repository = Repository(folder, secret_named(secret))
    if command == "list":
        print(json.dumps(repository.snapshots(), indent=1))
    else:
        restore(repository, *rest)
