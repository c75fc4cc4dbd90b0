/** Uses the package by `require`, as a CommonJS program does. */

const { pipe, Tensor, InputError } = require("trtpipe");

async function main() {
  const models = await pipe({ backend: "(shape=4)Identity", max: 4, instance_num: 2 });
  const data = Float32Array.of(1, 2, 3, 4);
  const [{ result }] = await models([{ data }, { data }]);
  const refused = await models({ data: new Float32Array(3) }).catch((error) => error);
  const { binding, runtime } = models.describe();
  await models.close();
  const values = [...result.data];
  const classes = [result instanceof Tensor, refused instanceof InputError];
  console.log(JSON.stringify({ values, classes, binding, runtime }));
}

void main();
