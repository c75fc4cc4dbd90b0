/**
 * Marks inputs that are in flight with their request, so that the same object in two calls at once is
 * refused, and a request can be found by its input. The mark is a private field that is put on the caller's
 * object: nobody else can see it, it needs no table, and it goes with the object.
 */

import type { Request } from "./requests.ts";

class Given {
  constructor(object: object) {
    // A constructor that returns an object lets a derived class put its private fields on that object.
    return object;
  }
}

class Mark extends Given {
  #request: Request | null = null;

  static of(object: object): Request | null {
    return #request in object ? (object as Mark).#request : null;
  }

  static set(object: object, request: Request): void {
    const mark = #request in object ? (object as Mark) : new Mark(object);
    mark.#request = request;
  }

  static clear(object: object): void {
    (object as Mark).#request = null;
  }
}

export const isInFlight = (input: object): boolean => Mark.of(input) !== null;
export const inFlightOf = (input: object): Request | null => Mark.of(input);
export const markInFlight = (input: object, request: Request): void => Mark.set(input, request);
export const unmarkInFlight = (input: object): void => Mark.clear(input);
