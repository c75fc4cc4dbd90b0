/**
 * Marks inputs that are in flight, so that the same object in two calls at once is refused. The mark is a
 * private field that is put on the caller's object: nobody else can see it, it needs no table, and it goes
 * with the object.
 */

class Given {
  constructor(object: object) {
    // A constructor that returns an object lets a derived class put its private fields on that object.
    return object;
  }
}

class Mark extends Given {
  #inFlight = true;

  static isSet(object: object): boolean {
    return #inFlight in object && (object as Mark).#inFlight;
  }

  static set(object: object): void {
    if (#inFlight in object) (object as Mark).#inFlight = true;
    else new Mark(object);
  }

  static clear(object: object): void {
    (object as Mark).#inFlight = false;
  }
}

export const isInFlight = (input: object): boolean => Mark.isSet(input);
export const markInFlight = (input: object): void => Mark.set(input);
export const unmarkInFlight = (input: object): void => Mark.clear(input);
