#!/usr/bin/env python3
"""Names all that is wrong with a repository: `verify.py REPOSITORY env:VARIABLE|file:KEY_FILE|none`.

Beyond what read.py checks as it restores, every byte is held against FORMAT.md, and contents and maps are cut again
(§10, §11), so that the page's rules for writers are proven too.
"""
import functools, json, re, struct, sys
from contextlib import contextmanager

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from zstandard import ZstdError

from read import HEX32, MIB, PACK, PACK_MAX, Cursor, Damage, Repository
from read import keyed, need, read_page, read_trailer, secret_named

DELTA_MAX = 512 * MIB
RECUT_MAX = 64 * MIB  # cutting in Python takes a second per 10 MB, so longer contents are only added up
DOCUMENT = rf"s/{HEX32}(\.hb\.\d+)?|c/{HEX32}|f/{HEX32}|g/\d+(\.commit(\.copy)?)?"
DELTA = rf"i/\d+/{HEX32}-\d+|b/[0-9a-f]{{64}}"
MEMBER, NOT_ZERO = re.compile(rb"PK(\x03\x04|\x01\x02)"), re.compile(rb"[^\x00]")
RECORDS = (b".jsonl", b".ndjson", b".sql", b".csv", b".tsv", b".log")
FAILURES = (Damage, InvalidTag, OSError, ValueError, KeyError, TypeError, IndexError, struct.error, ZstdError)


@contextmanager
def noting(problems, what=""):
    try:
        yield
    except FAILURES as error:
        problems.append(str(error) if isinstance(error, (Damage, OSError)) else f"{what}: {error!r}")


class Checked(Repository):
    """Notes damaged packs instead of ending there, and holds maps and lists against the rules by which they are cut."""

    def __init__(self, folder, secret):
        super().__init__(folder, secret)
        self.boundary_key = self.key("page boundary")
        self.problems, self.used = [], set()  # what is wrong with packs; the packs that were needed

    @functools.cached_property
    def packs(self):
        packs = {}
        for name in sorted(name for name in self.names() if re.fullmatch(PACK, name)):
            with noting(self.problems, name):
                packs[name[9:]] = self.pack(name)
        return packs

    def chunk(self, kind, identity):
        chunk = super().chunk(kind, identity)
        self.used.add(self.places[kind, identity][0])
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


def totals(items):
    return tuple(map(sum, zip(*(item.totals for item in items))))


def padme(length):
    exponent = length.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-length // step) * step


def verify(repository):
    problems, names, indexed = repository.problems, sorted(repository.names()), {}
    for name in names:
        with noting(problems, name):
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
        repository.lines(name, 3 if name == "config" else 2)
    elif re.fullmatch(DOCUMENT, name):
        need(isinstance(json.loads(repository.sealed(name)), dict), f"{name}: not a JSON object")
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
    segment, (count,) = segments(repository).get(name[2:]), cursor.u32s(1)
    need(not segment or segment["packs"] == count, f"{name}: its manifest says that it names {segment} packs")
    for _ in range(count):
        pack_id, (size,), header = cursor.take(32).hex(), cursor.u32s(1), cursor.take(64)
        trailer = cursor.take(cursor.u32s(1)[0])
        if segment and pack_id in segment.get("gone", []):
            continue
        indexed[pack_id] = name
        need(pack_id in repository.packs, f"{name}: pack {pack_id} is missing or damaged")
        pack = repository.packs[pack_id]
        need((pack.header, pack.trailer) == (header, trailer), f"{name}: pack {pack_id} has another header or trailer")
        need(size == pack.size, f"{name}: pack {pack_id} has another size")
    need(cursor.at == len(cursor.data), f"{name}: bytes after the end")


@functools.cache
def segments(repository):
    """§9. The base of the index, by the names of its segments."""
    manifests = (re.fullmatch(r"g/(\d+)\.commit", name) for name in repository.names())
    latest = max((int(manifest[1]) for manifest in manifests if manifest), default=0)
    return {s["id"]: s for s in json.loads(repository.sealed(f"g/{latest}.commit"))["segments"]} if latest else {}


def verify_pack(repository, name):
    """§5. Every byte."""
    data, pack = repository.read(name, PACK_MAX), repository.packs.get(name[9:])
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
    data = b"".join(map(bytes, repository.parts(content)))
    profile = profile_of(path, data) if path is not None else content.profile
    good = len(data) > inline_max and content.profile == profile
    need(good, f"{path}: {len(data)} bytes are cut as {content.profile}")
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
    problems = []
    with noting(problems, sys.argv[1]):
        report = verify(Checked(sys.argv[1], secret_named(sys.argv[2])))
        print(json.dumps(report, indent=1))
        problems += report["problems"]
    for problem in problems:
        print(f"verify.py: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
