#!/usr/bin/env python3
"""What people write in torch to make a tensor of NV12 pictures, for comparison: chroma made as large as luma, BT.709 of
limited range to RGB, bilinear resize, letterbox, float16 of 0..1, for 1, 8 and 32 pictures of 1080p that the caches do
not hold. Prints JSON: {"torch": VERSION, "ns": [NANOSECONDS A PICTURE, ...]}, medians of GPU time. Exits with 77 and a
reason where torch or its CUDA is missing."""
import json
import statistics
import sys

WIDTH, HEIGHT, SIDE = 1920, 1080, 640
PICTURES, ROUNDS = 64, 30
BATCHES = (1, 8, 32)


def prepare(torch, nv12, matrix, shift):
    """nv12: N x (HEIGHT * 3 / 2) x WIDTH bytes -> N x 3 x SIDE x SIDE float16."""
    interpolate = torch.nn.functional.interpolate
    count = nv12.shape[0]
    luma = nv12[:, None, :HEIGHT].half()
    chroma = nv12[:, HEIGHT:].reshape(count, HEIGHT // 2, WIDTH // 2, 2).permute(0, 3, 1, 2).half()
    chroma = interpolate(chroma, size=(HEIGHT, WIDTH), mode="nearest")
    yuv = torch.cat((luma, chroma), dim=1)
    rgb = torch.einsum("rc,nchw->nrhw", matrix, yuv) + shift
    rgb = rgb.clamp_(0, 255) / 255
    height = HEIGHT * SIDE // WIDTH
    small = interpolate(rgb, size=(height, SIDE), mode="bilinear", align_corners=False)
    out = torch.zeros((count, 3, SIDE, SIDE), dtype=torch.float16, device="cuda")
    top = (SIDE - height) // 2
    out[:, :, top:top + height] = small
    return out


def measure(torch, pictures, count, matrix, shift):
    turn, seen = 0, []
    for number in range(ROUNDS + 5):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        prepare(torch, pictures[turn:turn + count], matrix, shift)
        end.record()
        end.synchronize()
        turn = (turn + count) % PICTURES
        if number >= 5:
            seen.append(start.elapsed_time(end) * 1e6 / count)
    return statistics.median(seen)


def main():
    try:
        import torch
    except ImportError:
        print("skipped: python3 has no torch")
        sys.exit(77)
    if not torch.cuda.is_available():
        print("skipped: torch finds no CUDA")
        sys.exit(77)
    scale, chroma = 255 / 219, 255 / 224
    rows = ((scale, 0, 1.5748 * chroma), (scale, -0.187324 * chroma, -0.468124 * chroma), (scale, 1.8556 * chroma, 0))
    matrix = torch.tensor(rows, dtype=torch.float16, device="cuda")
    shift = -(matrix.float() @ torch.tensor((16.0, 128.0, 128.0), device="cuda")).half().reshape(1, 3, 1, 1)
    pictures = torch.full((PICTURES, HEIGHT * 3 // 2, WIDTH), 85, dtype=torch.uint8, device="cuda")
    with torch.no_grad():
        seen = [measure(torch, pictures, count, matrix, shift) for count in BATCHES]
    print(json.dumps({"torch": torch.__version__, "ns": seen}))


if __name__ == "__main__":
    main()
