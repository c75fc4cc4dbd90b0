/** Counts of values below bounds, as Prometheus wants them. */

export class Histogram {
  readonly bounds: readonly number[];
  /** One more than the bounds: what is above all of them. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number, times = 1): void {
    let i = 0;
    while (i < this.bounds.length && value > this.bounds[i]) i++;
    this.counts[i] += times;
    this.sum += value * times;
  }
}
