#!/usr/bin/env python3
"""Whose every byte of a Volume is, a line a block, for tests/src/audit: a decoder that shares nothing with Holdfast's.

usage: volume_blocks.py FILE
Prints, fields separated by blanks:
  L <kind> <label time, us> <Volume>                        a Volume label
  B <address> <length> <id> <time> <first> <last> <ok>      a block of a session: FileIndexes of its data (0: none), checksum
  S <address> <id> <time> <JobId>                           the start of a session
  E <address> <id> <time> <JobId> <status> <files>          the end of a session
  X <address> <size of the file>                            last line: behind the last whole block
Licence: as this repository, MIT or Apache-2.0.
"""
import pathlib
import struct
import sys
import zlib

# The decoder of the Volume specification's fixtures, written from the format's description.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'crates/volume/fixtures'))
from decode_volume import session_label, volume_label

HEADER = 24  # of a BB02 block
RECORD = 12
LONGEST = 4_000_000  # Maximum Block Size


def session_records(block, length, rest):
    """Records of a block, the pieces of labels that span blocks joined; `rest` holds the piece so far."""
    at = HEADER
    while length - at >= RECORD:
        index, stream, size = struct.unpack_from('>iiI', block, at)
        at += RECORD
        piece = block[at:at + min(size, length - at)]
        at += len(piece)
        if index > 0:
            yield index, piece
            continue
        data = rest.pop(index, b'') + piece if stream < 0 else piece
        if len(piece) < size:
            rest[index] = data
        else:
            yield index, data


def main(path):
    with open(path, 'rb') as file:
        volume = file.read()
    at, rests = 0, {}
    while at + HEADER <= len(volume):
        checksum, length, _number = struct.unpack_from('>III', volume, at)
        kind = volume[at + 12:at + 16]
        if kind != b'BB02' or not HEADER <= length <= LONGEST or at + length > len(volume):
            break
        block = volume[at:at + length]
        session, time = struct.unpack_from('>II', block, 16)
        ok = int(checksum == 0 or zlib.crc32(block[4:]) == checksum)
        files = []
        for index, data in session_records(block, length, rests.setdefault((session, time), {})):
            if index > 0:
                files.append(index)
            elif index in (-1, -2):
                label = volume_label(data, 2)
                print('L', 'PRE' if index == -1 else 'VOL', label.get('label_btime', 0), label['VolumeName'])
            elif index == -4:
                print('S', at, session, time, session_label(data, index)['JobId'])
            elif index == -5:
                label = session_label(data, index)
                print('E', at, session, time, label['JobId'], label.get('JobStatus', '-'), label['JobFiles'])
        first, last = (min(files), max(files)) if files else (0, 0)
        print('B', at, length, session, time, first, last, ok)
        at += length
    print('X', at, len(volume))


if __name__ == '__main__':
    main(sys.argv[1])
