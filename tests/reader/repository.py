"""What FORMAT.md says a repository is, read with no other knowledge: section numbers in comments are that page's.

Objects are opened by name, chunks and pages by id, and anything that is not as the page demands is a `Damage`. Clear
before fast: maps are held in memory whole. Chunks are found by the trailers of the packs, so no index is trusted.
What is done with it all, and the cutting of contents (§11), is in read.py.
"""
import functools, json, os, re, struct
from collections import namedtuple
from contextlib import contextmanager
from datetime import datetime

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

KIB, MIB = 1 << 10, 1 << 20
CONTEXT = "snap-backup 2026 v1 "
DOCUMENT_MAX, DELTA_MAX, TRAILER_MAX, PACK_MAX = 64 * MIB, 512 * MIB, 64 * MIB, 256 * MIB
CHUNK_MAX, FRAME_MAX, FRAME_CHUNKS_MAX, PATH_MAX = 8 * MIB, 16 * MIB, 262_144, 65_536
HEX32, HEX64 = "[0-9a-f]{32}", "[0-9a-f]{64}"
PACK = r"packs/([0-9a-f]{2})/(\1[0-9a-f]{62})"
CIPHERS = {1: AESGCM, 2: ChaCha20Poly1305}
KINDS = "File Directory Symlink BlockDevice CharacterDevice Fifo Socket Object Document".split()
PROFILES = "bulk record zip".split()


class Damage(Exception):
    """What was read is not what the format allows, or not what was written."""


def need(condition, message):
    if not condition:
        raise Damage(message)


def derive(purpose, secret):
    return blake3(secret, derive_key_context=CONTEXT + purpose).digest()


def keyed(key, data, length=32):
    return blake3(data, key=key).digest(length=length)


def open_sealed(cipher, key, nonce, text, additional, what):
    need(cipher in CIPHERS, f"{what}: unknown cipher {cipher}")
    try:
        return CIPHERS[cipher](key).decrypt(nonce, text, additional)
    except InvalidTag:
        raise Damage(f"{what}: does not authenticate") from None


def unpacked(method, body, plain_length, what):
    need(method in (0, 1), f"{what}: unknown method {method}")
    if method == 1:
        stream = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        limited, body = memoryview(body), bytearray()
        for at in range(0, len(limited), KIB):  # a kilobyte at a time, so that a bomb is seen before it is large
            need(not stream.eof, f"{what}: bytes after the compressed ones")
            body += stream.decompress(limited[at : at + KIB])
            need(len(body) <= plain_length, f"{what}: decompresses to more than it says")
        need(stream.eof and not stream.unused_data, f"{what}: compressed bytes end too early or too late")
    need(len(body) == plain_length, f"{what}: {len(body)} bytes, not {plain_length}")
    return bytes(body)


def crc32c(data, table=[]):
    for n in range(0 if table else 256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def padme(length):
    exponent = length.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-length // step) * step


class Cursor:
    """Reads a structure from its front. It accepts one encoding of each value only, so what it accepts is canonical."""

    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what

    def take(self, count):
        need(count <= len(self.data) - self.at, f"{self.what}: ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def u8(self):
        return self.take(1)[0]

    def u32s(self, count):
        return struct.unpack(f"<{count}I", self.take(4 * count))

    def varint(self, bits=64):
        first = self.u8()
        if first < 251:
            return first
        need(first <= 253, f"{self.what}: integer of unknown width")
        value = int.from_bytes(self.take(2 << (first - 251)), "little")
        need(value >= {251: 251, 252: 1 << 16, 253: 1 << 32}[first], f"{self.what}: integer longer than needed")
        need(value < 1 << bits, f"{self.what}: integer above {bits} bits")
        return value

    def u32(self):
        return self.varint(32)

    def time(self):
        zigzag = self.varint()
        nanoseconds = self.u32()
        need(nanoseconds < 10**9, f"{self.what}: more than a second of nanoseconds")
        return (zigzag >> 1 ^ -(zigzag & 1)) * 10**9 + nanoseconds

    def bytes(self):
        return self.take(self.varint())

    def text(self):
        return self.bytes().decode("utf-8")

    def pair(self, first, second):
        return first(), second()

    def choice(self, count):
        value = self.varint(32)
        need(value < count, f"{self.what}: unknown variant {value}")
        return value

    def option(self, read):
        return read() if self.choice(2) else None

    def list(self, read, most=None):
        count = self.varint()
        need(count <= (len(self.data) - self.at if most is None else most), f"{self.what}: list too long")
        return [read() for _ in range(count)]

    def end(self):
        need(self.at == len(self.data), f"{self.what}: bytes after the end")


Frame = namedtuple("Frame", "stored plain method at ids lengths")  # at: where its sync word begins in the pack
Pack = namedtuple("Pack", "name size header padding trailer key frames cipher kind")
Content = namedtuple("Content", "profile size inline pieces root")  # a run of zeros is a piece without id
Item = namedtuple("Item", "key id totals size entry", defaults=[None])  # size: encoded; totals: as in InnerItem
Entry = namedtuple("Entry", "kind target device posix content")


def read_trailer(trailer, what):
    """§5. The frames of a pack, checked against each other, and where they end."""
    cursor, at = Cursor(trailer, what), 64
    frame_count, chunk_count = cursor.u32s(2)
    need(frame_count * 16 + chunk_count * 36 == len(trailer) - 8, f"{what}: counts do not fit its length")
    heads = [cursor.u32s(4) for _ in range(frame_count)]
    need(sum(head[2] for head in heads) == chunk_count, f"{what}: chunk counts do not add up")
    ids, frames = [[cursor.take(32) for _ in range(head[2])] for head in heads], []
    for (stored, plain, count, method), ids in zip(heads, ids):
        lengths = cursor.u32s(count)
        need(stored <= plain <= FRAME_MAX and count <= FRAME_CHUNKS_MAX, f"{what}: frame too long")
        need(max(lengths, default=0) <= CHUNK_MAX, f"{what}: chunk too long")
        need(sum(lengths) + 4 * count + 4 == plain, f"{what}: lengths do not add up")
        frames.append(Frame(stored, plain, method, at, ids, lengths))
        at += 8 + 28 + stored + 16
    return frames, at


def read_content(cursor):
    """§10."""
    form = cursor.choice(4)
    if form == 0:
        return Content(None, 0, b"", [], None)
    if form == 1:
        inline = cursor.bytes()
        need(0 < len(inline) <= 512, f"{cursor.what}: inline content of {len(inline)} bytes")
        return Content(None, len(inline), inline, [], None)
    profile = PROFILES[cursor.choice(3)]
    if form == 3:
        return Content(profile, cursor.varint(), b"", [], cursor.take(32))
    pieces = cursor.list(lambda: read_piece(cursor), 16)
    return Content(profile, sum(piece.totals[0] for piece in pieces), b"", pieces, None)


def read_piece(cursor):
    start = cursor.at
    identity, length = (None, cursor.varint()) if cursor.choice(2) else (cursor.take(32), cursor.u32())
    need(length > 0 and (identity is None or length <= CHUNK_MAX), f"{cursor.what}: piece of {length} bytes")
    return Item(b"", identity, (length, 1), cursor.at - start)


def read_posix(cursor):
    c = cursor
    return {"mode": c.u32(), "uid": c.u32(), "gid": c.u32(), "user": c.option(c.text), "group": c.option(c.text),
            "modified": c.time(), "xattrs": c.list(lambda: c.pair(c.bytes, lambda: read_content(c))),
            "link_to": c.option(c.bytes), "flags": c.u32()}  # fmt: skip


def skip_object(cursor):
    c = cursor
    c.time(), c.option(c.text), c.option(c.text), c.list(lambda: c.pair(c.text, c.text))
    c.list(lambda: c.pair(c.text, c.text)), need(c.u8() < 2, f"{c.what}: a marker is 0 or 1")


def read_leaf_item(cursor, previous):
    start, shared, suffix = cursor.at, cursor.varint(), cursor.bytes()
    path = previous[:shared] + suffix
    need(shared == len(os.path.commonprefix([previous, path])), f"{cursor.what}: wrong shared prefix")
    need(len(path) <= PATH_MAX, f"{cursor.what}: path too long")
    kind = KINDS[cursor.choice(len(KINDS))]
    target = cursor.bytes() if kind == "Symlink" else b""
    device = cursor.pair(cursor.u32, cursor.u32) if kind.endswith("Device") else (0, 0)
    metadata = cursor.choice(3)
    posix = read_posix(cursor) if metadata == 1 else skip_object(cursor) if metadata == 2 else None
    cursor.option(lambda: cursor.bytes() if cursor.choice(2) else cursor.pair(cursor.time, cursor.varint))
    content = read_content(cursor)
    totals = (1, int(kind in ("File", "Object", "Document")), content.size)
    return Item(path, None, totals, cursor.at - start, Entry(kind, target, device, posix, content))


def read_page(cursor, is_list):
    """§10. Its level and items."""
    items = []
    level = cursor.u8() if cursor.choice(2) else 0
    need(cursor.data[0] == 0 or 1 <= level <= 63, f"{cursor.what}: level {level}")
    for _ in range(cursor.varint()):
        start = cursor.at
        if level:
            key, page = b"" if is_list else cursor.bytes(), cursor.take(32)
            items.append(Item(key, page, tuple(cursor.varint() for _ in range(2 if is_list else 3)), cursor.at - start))
        elif is_list:
            items.append(read_piece(cursor))
        else:
            items.append(read_leaf_item(cursor, items[-1].key if items else b""))
    cursor.end()
    return level, items


def parse_time(text):
    return datetime.fromisoformat(text), text  # the text has nanoseconds, which the datetime lacks


class Repository:
    """Objects opened by name, chunks and pages by id."""

    def __init__(self, folder, unlock):
        self.folder = folder
        line, mac, _ = self.checksummed("config", 3)
        self.config = json.loads(line)
        self.id = bytes.fromhex(self.config["id"])
        version, unknown = self.config["version"], self.config["features"]["incompatible"]
        need(self.config["magic"] == "snap repository" and len(self.id) == 16, "config: not of a snap repository")
        need(version == 1 and not unknown, f"a newer program is needed for version {version} with {unknown}")
        self.roots = self.unlock(unlock)
        need(mac == b"mac " + keyed(self.key("config"), line).hex().encode(), "config: tampered with")
        self.id_keys = {1: self.key("chunk id"), 2: self.key("page id")}
        self.boundary_key = self.key("page boundary")
        self.damaged, self.used = [], set()  # what is wrong with packs; the packs that were needed

    def key(self, purpose, epoch=0):
        need(epoch < len(self.roots), f"key epoch {epoch} is unknown")
        return derive(purpose, self.roots[epoch])

    def names(self):
        for folder, _, files in os.walk(self.folder):
            yield from (os.path.relpath(os.path.join(folder, file), self.folder) for file in files)

    def read(self, name, most):
        with open(os.path.join(self.folder, name), "rb") as file:
            need(os.fstat(file.fileno()).st_size <= most, f"{name}: longer than {most} bytes")
            return file.read()

    def checksummed(self, name, count, copies=(".copy",)):
        """§2, §3. The lines of the object, or of its copy where it is missing or damaged."""
        try:
            data = self.read(name, 64 * KIB)
            lines = data.split(b"\n")
            need(len(lines) == count + 1 and not lines[-1], f"{name}: not {count} lines")
            need(lines[-2] == b"blake3 " + blake3(data[:-72]).hexdigest().encode(), f"{name}: wrong checksum")
            return lines[:-1]
        except (Damage, OSError):
            if not copies:
                raise
            return self.checksummed(name + copies[0], count, ())

    def unlock(self, unlock):
        """§3. The root secrets, from the first slot that the secret fits."""
        for slot in sorted({name[5:37] for name in self.names() if re.fullmatch(rf"keys/{HEX32}(\.copy)?", name)}):
            document = json.loads(self.checksummed("keys/" + slot, 2)[0])
            secret = unlock(document["kind"], document["kdf"])
            if secret is None or derive("slot commitment", secret + self.id).hex() != document["commitment"]:
                continue
            wrapped, additional = bytes.fromhex(document["wrapped"]), self.id + bytes.fromhex(slot)
            roots = open_sealed(1, derive("slot wrap", secret), bytes(12), wrapped, additional, f"keys/{slot}")
            need(roots and len(roots) % 32 == 0, f"keys/{slot}: not a list of secrets")
            return [roots[at : at + 32] for at in range(0, len(roots), 32)]
        raise Damage("no key slot opens under this secret")

    def sealed(self, name, most=DOCUMENT_MAX):
        """§6."""
        data = self.read(name, most + 80)
        magic, version, method, cipher, wrap, epoch, length, zeros, salt = struct.unpack("<8s4BIQ8s32s", data[:64])
        need((magic, version, wrap, zeros) == (b"SNAPSEAL", 1, 0, bytes(8)), f"{name}: not a sealed object")
        need(length <= most, f"{name}: longer than {most} bytes")
        key, additional = keyed(self.key("objects", epoch), salt), self.id + data[:64] + name.encode()
        return unpacked(method, open_sealed(cipher, key, bytes(12), data[64:], additional, name), length, name)

    def document(self, name):
        return json.loads(self.sealed(name))

    def snapshots(self):
        """§7. The cells that count, oldest first."""
        names, found = set(self.names()), []
        latest = max((int(n[2:-7]) for n in names if re.fullmatch(r"g/\d+\.commit", n)), default=0)
        live = self.document(f"g/{latest}.commit")["live"] if latest else []
        for name in sorted(n for n in names if re.fullmatch(rf"c/{HEX32}", n)):
            cell = self.document(name)
            counts = cell["state"] == "snapshot" and f"f/{name[2:]}" not in names
            if counts and (cell["epoch"] >= latest or name[2:] in live):
                found.append({"id": name[2:], "epoch": cell["epoch"], **cell["snapshot"]})
        return sorted(found, key=lambda snapshot: parse_time(snapshot["time"]))

    def pack(self, name):
        """§5. Header, trailer and footer."""
        with open(os.path.join(self.folder, name), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            need(64 + 16 + 16 <= size <= PACK_MAX, f"{name}: {size} bytes")
            header, _ = file.read(64), file.seek(-16, 2)
            length, padding, crc, end = struct.unpack("<3I4s", file.read())
            need(end == b"SNPT" and 16 <= length <= min(TRAILER_MAX + 16, size - 80), f"{name}: not a footer")
            file.seek(-16 - length, 2)
            sealed = file.read(length)
        magic, version, kind, cipher, wrap, epoch, zeros, salt = struct.unpack("<8s4BI16s32s", header)
        good = (magic, version, wrap, zeros) == (b"SNAPPACK", 1, 0, bytes(16)) and kind in (1, 2)
        need(good and crc32c(sealed) == crc, f"{name}: damaged header or trailer")
        key = keyed(self.key("data packs" if kind == 1 else "page packs", epoch), salt)
        nonce = struct.pack("<QI", 2**32 - 1, 0)
        trailer = open_sealed(cipher, key, nonce, sealed, self.id + header, name)
        frames, end = read_trailer(trailer, name)
        need(end + padding + length + 16 == size, f"{name}: its parts do not add up to its size")
        return Pack(name, size, header, padding, trailer, key, frames, cipher, kind)

    @functools.cached_property
    def packs(self):
        packs = {}
        for name in sorted(name for name in self.names() if re.fullmatch(PACK, name)):
            with noting(self.damaged):
                packs[name[9:]] = self.pack(name)
        return packs

    @functools.cached_property
    def places(self):
        return {(pack.kind, identity): (pack_id, k, n) for pack_id, pack in self.packs.items()
                for k, frame in enumerate(pack.frames) for n, identity in enumerate(frame.ids)}  # fmt: skip

    @functools.lru_cache(maxsize=64)
    def frame(self, pack_id, k):
        """§5. The chunks of a frame."""
        pack, what = self.packs[pack_id], f"{pack_id}: frame {k}"
        frame, additional = pack.frames[k], self.id + pack.header
        with open(os.path.join(self.folder, pack.name), "rb") as file:
            file.seek(frame.at)
            sync, head, body = file.read(8), file.read(28), file.read(frame.stored + 16)
        need(sync == keyed(pack.key, b"sync" + struct.pack("<Q", k))[:8], f"{what}: wrong sync word")
        head = open_sealed(pack.cipher, pack.key, struct.pack("<QI", k, 0), head, additional, what)
        same = struct.unpack("<3I", head) == (frame.method, frame.stored, frame.plain)
        need(same, f"{what}: differs from the trailer")
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
        self.used.add(pack_id)
        return chunk

    def levels(self, root, is_list):
        """§10. The pages of a map or chunk list, a level each from the leaves up, cut and counted as they must be."""
        levels, ids = [], [root]
        while not levels or levels[0][0][0]:
            pages = [read_page(Cursor(self.chunk(2, page), f"page {page.hex()}"), is_list) for page in ids]
            above = levels[0][0][0] if levels else pages[0][0] + 1
            need({level for level, _ in pages} == {above - 1}, "pages of one level differ in level")
            ids = [item.id for _, items in pages for item in items]
            levels.insert(0, pages)
        for n, pages in enumerate(levels):
            need(all(items for _, items in pages) or (not n and len(levels) == 1), "an empty page that is not the root")
            need(len(levels) == n + 1 or len(pages) > 1, "more levels than needed")
            keys = [item.key for _, items in pages for item in items]
            need(is_list or all(a < b for a, b in zip(keys, keys[1:])), "paths out of order")
            self.check_cuts(pages, is_list)
            if n:
                below = [(b"" if is_list else items[0].key, totals(items)) for _, items in levels[n - 1]]
                said = [(item.key, item.totals) for _, items in pages for item in items]
                need(below == said, "a page differs from what is said of it")
        return levels

    def check_cuts(self, pages, is_list):
        for level, items in pages:
            paths, encoded = 0, 0
            for count, item in enumerate(items, 1):
                paths, encoded = paths + len(item.key), encoded + item.size
                mark = (item.id or b"\xff" * 8) if is_list else keyed(self.boundary_key, bytes([level]) + item.key, 8)
                every = 512 if is_list else self.config["page_entries"]
                full = int.from_bytes(mark[:8], "little") % every == 0 or count >= 4 * every
                full = (full or paths >= MIB or encoded >= 4 * MIB) and count >= (2 if is_list or level else 1)
                is_end = count == len(items)
                need(full == is_end or (is_end and items is pages[-1][1]), "a page ends elsewhere than it must")

    def entries(self, root):
        return [item for _, items in self.levels(root, False)[0] for item in items]

    def pieces(self, content):
        if not content.root:
            return content.pieces
        pieces = [piece for _, items in self.levels(content.root, True)[0] for piece in items]
        need(totals(pieces) == (content.size, len(pieces)) and len(pieces) > 16, "a chunk list is not what is said")
        zeros = [piece.id is None for piece in pieces]
        need((True, True) not in zip(zeros, zeros[1:]), "neighbouring runs of zeros")
        return pieces

    def parts(self, content):
        """The bytes of a content in order, and the lengths of its runs of zeros."""
        if content.inline:
            yield content.inline
        for piece in self.pieces(content):
            part = self.chunk(1, piece.id) if piece.id else piece.totals[0]
            need(not piece.id or len(part) == piece.totals[0], "a chunk differs in length from what is said of it")
            yield part


def totals(items):
    return tuple(map(sum, zip(*(item.totals for item in items))))


@contextmanager
def noting(problems):
    try:
        yield
    except (Damage, OSError, ValueError, KeyError, TypeError, struct.error, zstandard.ZstdError) as error:
        problems.append(str(error) if isinstance(error, (Damage, OSError)) else f"{type(error).__name__}: {error}")
