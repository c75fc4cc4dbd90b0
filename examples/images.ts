/** Pictures as the input of an image classifier. Uses sharp, which runs in Node, Bun and Deno. */

import sharp from "sharp";

export interface ImageOptions {
  /** Height and width of the result in pixels. Default 224. */
  size?: number;
  /** Share of the shorter side that the square in the middle keeps. Default 0.875. */
  crop?: number;
  /**
   * Each value, 0..255, becomes (value - mean) / scale. Default 127 and 128, as EfficientNet-Lite0 wants it.
   */
  mean?: number;
  scale?: number;
}

/**
 * Decodes a picture (a path, or the file's bytes) and returns float32 [3, size, size]: the middle of the
 * upright picture, as planes of red, green and blue. Rejects with sharp's error if it is not a picture.
 */
export async function imageTensor(
  file: string | Uint8Array,
  { size = 224, crop = 0.875, mean = 127, scale = 128 }: ImageOptions = {},
): Promise<Float32Array<ArrayBuffer>> {
  const image = sharp(file);
  const { width, height } = (await image.metadata()).autoOrient;
  const side = Math.max(1, Math.round(Math.min(width, height) * crop));
  const middle = {
    left: Math.floor((width - side) / 2),
    top: Math.floor((height - side) / 2),
    width: side,
    height: side,
  };
  const pixels = await image
    .autoOrient()
    .extract(middle)
    .resize(size, size, { fit: "fill", kernel: "cubic" })
    .toColourspace("srgb")
    .removeAlpha()
    .raw()
    .toBuffer();
  return planes(pixels, size * size, mean, scale);
}

/** RGBRGB... of `count` pixels as three planes. */
function planes(pixels: Uint8Array, count: number, mean: number, scale: number): Float32Array<ArrayBuffer> {
  const to = new Float32Array(3 * count);
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < 3; channel++) {
      to[channel * count + i] = (pixels[3 * i + channel]! - mean) / scale;
    }
  }
  return to;
}
