/**
 * A thread that gets a shared DeviceTensor: it reads it, keeps it if it is told so, and answers what came.
 */

import { parentPort } from "node:worker_threads";
import { DeviceTensor } from "trtpipe";

const kept = [];

async function read({ shared, keep }) {
  const tensor = DeviceTensor.attach(shared);
  const { data, shape } = await tensor.toHost();
  if (keep) kept.push(tensor);
  else tensor.dispose();
  return { data: [...data], shape, deviceId: tensor.deviceId, disposed: tensor.disposed };
}

parentPort.on("message", async (message) => {
  try {
    if (message === "let go") for (const tensor of kept.splice(0)) tensor.dispose();
    parentPort.postMessage(message === "let go" ? {} : await read(message));
  } catch ({ name, message: text }) {
    parentPort.postMessage({ error: `${name}: ${text}` });
  }
});
