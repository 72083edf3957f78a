#!/usr/bin/env python3
"""Decode a backup volume into JSON, following 03-storage.md sections 1.1-1.9.

usage: decode_volume.py [--vtape] [--key BASE64] FILE
From the fixtures of the Volume specification (spec/fixtures/volumes), written from the format's description and not from
Holdfast's code, so that it can check it. Licence: as this repository, MIT or Apache-2.0.

Needs the python module 'xxhash' for BB03 checksums and 'cryptography' for encrypted BB03 blocks.
"""
import base64, hashlib, json, struct, sys, zlib

FI = {-1: 'PRE_LABEL', -2: 'VOL_LABEL', -3: 'EOM_LABEL', -4: 'SOS_LABEL',
      -5: 'EOS_LABEL', -6: 'EOT_LABEL', -7: 'SOB_LABEL', -8: 'EOB_LABEL'}


class Reader:
    def __init__(self, b):
        self.b, self.p = b, 0

    def take(self, fmt):
        v = struct.unpack_from('>' + fmt, self.b, self.p)[0]
        self.p += struct.calcsize('>' + fmt)
        return v

    def string(self):
        e = self.b.index(b'\0', self.p)
        v = self.b[self.p:e].decode('utf-8', 'surrogateescape')
        self.p = e + 1
        return v

    def raw(self, n):
        v = self.b[self.p:self.p + n]
        self.p += n
        return v


def volume_label(d, block_ver):
    r = Reader(d)
    o = {'Id': r.string(), 'VerNum': r.take('I')}
    if o['VerNum'] >= 11:
        o['label_btime'], o['write_btime'] = r.take('Q'), r.take('Q')
    else:
        o['label_date'], o['label_time'] = r.take('d'), r.take('d')
    o['write_date'], o['write_time'] = r.take('d'), r.take('d')
    for k in ('VolumeName', 'PrevVolumeName', 'PoolName', 'PoolType', 'MediaType', 'HostName',
              'LabelProg', 'ProgVersion', 'ProgDate', 'AlignedVolumeName'):
        o[k] = r.string()
    o['FirstData'] = r.take('Q')
    for k in ('FileAlignment', 'PaddingSize', 'BlockSize'):
        o[k] = r.take('I')
    if block_ver == 3:
        n = r.take('I'); o['EncCypherKey'] = r.raw(n).hex()
        n = r.take('I'); o['MasterKeyId'] = r.raw(n).hex()
        o['SignatureKeyIdSize'] = r.take('I')
    o['unparsed_bytes'] = len(d) - r.p
    return o


def session_label(d, fi):
    r = Reader(d)
    o = {'Id': r.string(), 'VerNum': r.take('I'), 'JobId': r.take('I')}
    if o['VerNum'] >= 11:
        o['write_btime'] = r.take('Q')
    else:
        o['write_date'] = r.take('d')
    o['write_time'] = r.take('d')
    for k in ('PoolName', 'PoolType', 'JobName', 'ClientName'):
        o[k] = r.string()
    if o['VerNum'] >= 10:
        o['Job'], o['FileSetName'] = r.string(), r.string()
        o['JobType'], o['JobLevel'] = chr(r.take('I')), chr(r.take('I'))
    if o['VerNum'] >= 11:
        o['FileSetMD5'] = r.string()
    if fi == -5:
        o['JobFiles'], o['JobBytes'] = r.take('I'), r.take('Q')
        for k in ('StartBlock', 'EndBlock', 'StartFile', 'EndFile', 'JobErrors'):
            o[k] = r.take('I')
        if o['VerNum'] >= 11:
            o['JobStatus'] = chr(r.take('I'))
    o['unparsed_bytes'] = len(d) - r.p
    return o


def file_blocks(b):
    p = 0
    while p < len(b):
        n = struct.unpack_from('>I', b, p + 4)[0]
        yield p, b[p:p + n]
        p += n


def vtape_blocks(b):
    p, f, blk, first = 0, 0, 0, True
    while p + 4 <= len(b):
        n = struct.unpack_from('<I', b, p)[0]
        if n == 0:
            prev, nxt = struct.unpack_from('<qq', b, p + 4)
            yield [f, blk], {'offset': p, 'prev_mark': prev, 'next_mark': nxt}
            if not first:
                f, blk = f + 1, 0
            first = False
            p += 20
            continue
        yield [f, blk], b[p + 4:p + 4 + n]
        blk += 1
        p += 4 + n


def decode(b, vtape=False, key=None):
    out = {'size': len(b), 'blocks': [], 'records': []}
    part, recs_out = {}, out['records']
    for addr, blk in (vtape_blocks(b) if vtape else file_blocks(b)):
        if isinstance(blk, dict):
            out['blocks'].append(dict(addr=addr, tape_mark=blk))
            continue
        cs, blen, bnum = struct.unpack_from('>III', blk, 0)
        bid = blk[12:16].decode()
        h = {'addr': addr, 'block_len': blen, 'written_len': len(blk), 'BlockNumber': bnum, 'id': bid}
        ver = int(bid[3])
        sid = st = 0
        if ver == 1:
            hl = 16
        else:
            sid, st = struct.unpack_from('>II', blk, 16)
            h['VolSessionId'], h['VolSessionTime'] = sid, st
            hl = 24
        if ver == 3:
            import xxhash
            hl = 32
            h['options'] = cs
            stored = struct.unpack_from('>Q', blk, 24)[0]
            if cs & 4:
                if key is None:
                    h['encrypted'] = True
                    out['blocks'].append(h)
                    continue
                from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
                iv = struct.pack('>IIII', bnum, sid, st, 0)
                dec = Cipher(algorithms.AES(key), modes.XTS(iv)).decryptor()
                blk = blk[:32] + dec.update(blk[32:blen]) + dec.finalize()
            z = bytearray(blk[:blen]); z[24:32] = bytes(8)
            h['checksum64'] = '%016x' % stored
            h['checksum_ok'] = xxhash.xxh3_64_intdigest(bytes(z)) == stored if cs & 1 else None
        else:
            h['checksum'] = '%08x' % cs
            h['checksum_ok'] = zlib.crc32(blk[4:blen]) == cs
        p, recs, rhl = hl, [], (20 if ver == 1 else 12)
        while blen - p >= rhl:
            if ver == 1:
                sid, st = struct.unpack_from('>II', blk, p)
            fi, stream, dl = struct.unpack_from('>iiI', blk, p + rhl - 12)
            p += rhl
            d = blk[p:p + min(dl, blen - p)]
            p += len(d)
            recs.append({'FileIndex': fi, 'Stream': stream, 'len_field': dl, 'here': len(d)})
            k = (sid, st)
            if stream < 0:                      # continuation piece
                q = part.get(k)
                if q:
                    q['data'] += d
                    q['pieces'] += 1
                    if len(d) == dl:
                        recs_out.append(part.pop(k))
                else:
                    recs_out.append({'addr': addr, 'BlockNumber': bnum, 'VolSessionId': sid, 'VolSessionTime': st,
                                     'FileIndex': fi, 'Stream': -stream, 'data': d, 'pieces': 1, 'v': ver,
                                     'orphan_continuation': True})
                    if len(d) < dl:
                        part[k] = recs_out.pop()
                continue
            q = {'addr': addr, 'BlockNumber': bnum, 'VolSessionId': sid, 'VolSessionTime': st, 'FileIndex': fi,
                 'Stream': stream, 'data': d, 'pieces': 1, 'v': ver}
            if len(d) < dl:
                part[k] = q
            else:
                recs_out.append(q)
        h['records'] = recs
        h['slack'] = blen - p
        out['blocks'].append(h)
    out['unfinished'] = [dict(q) for q in part.values()]
    for q in recs_out + out['unfinished']:
        d, v, fi = q.pop('data'), q.pop('v'), q['FileIndex']
        q['data_len'] = len(d)
        q['data_sha256'] = hashlib.sha256(d).hexdigest()
        if fi in (-1, -2):
            q['label'], q['volume_label'] = FI[fi], volume_label(d, v)
        elif fi in (-4, -5):
            q['label'], q['session_label'] = FI[fi], session_label(d, fi)
        elif fi < 0:
            q['label'] = FI.get(fi)
        elif q['Stream'] == 1:
            q['attributes_text'] = d.decode('latin1')
        elif len(d) <= 64:
            q['data_hex'] = d.hex()
    return out


if __name__ == '__main__':
    a = sys.argv[1:]
    key = None
    if '--key' in a:
        i = a.index('--key'); key = base64.b64decode(a[i + 1]); del a[i:i + 2]
    vt = '--vtape' in a
    f = [x for x in a if not x.startswith('--')][0]
    json.dump(decode(open(f, 'rb').read(), vt, key), sys.stdout, indent=1)
    print()
