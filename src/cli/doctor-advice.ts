/** How to get what is missing. */

import type { Report } from "./doctor-report.ts";
import { isMissing, type Found } from "./probe.ts";

export interface Advice {
  /** Key of the report. */
  missing: string;
  reason: string;
  fix: string;
}

type Findings = Omit<Report, "advice">;

export function advise(found: Findings): Advice[] {
  const advice: Advice[] = [];
  const about = <T extends object>(missing: string, what: Found<T> | null, fix: string): what is T => {
    if (what === null) return false;
    if (!isMissing(what)) return true;
    advice.push({ missing, reason: what.missing, fix });
    return false;
  };
  about("koffi", found.koffi, "npm install koffi");
  about(
    "library",
    found.library,
    "npm install trtpipe again, or set TRTPIPE_LIB to a libtrtpipe.so that loads",
  );
  about("host", found.host, "npm install trtpipe again, or set TRTPIPE_HOST to the program trtpipe-host");
  about(
    "onnxruntime",
    found.onnxruntime,
    "npm install onnxruntime-node (ONNXRUNTIME_NODE_INSTALL=skip leaves its download of CUDA out), or set" +
      " TRTPIPE_ONNXRUNTIME to a libonnxruntime.so of 1.17 or later",
  );
  about(
    "driver",
    found.driver,
    "install NVIDIA's driver; in a container, start it with its devices (--gpus all)",
  );
  if (
    about("cuda", found.cuda, "libcuda.so.1 comes with NVIDIA's driver; TRTPIPE_CUDA names another place")
  ) {
    for (const device of found.cuda.devices) {
      about(
        "cuda",
        device,
        "see nvidia-smi for what holds the device, or leave it out with CUDA_VISIBLE_DEVICES",
      );
    }
  }
  const library =
    "install TensorRT 10 or 11 (Debian and Ubuntu: libnvinfer10 and libnvonnxparsers10 of NVIDIA's";
  const getIt = `${library} repository; Python: tensorrt), or set TRTPIPE_TENSORRT to libnvinfer.so`;
  if (about("tensorrt", found.tensorrt, getIt)) {
    about(
      "tensorrt.parser",
      found.tensorrt.parser,
      "install libnvonnxparsers of TensorRT's version beside it",
    );
    about("tensorrt.runtime", found.tensorrt.runtime, "mend what it says; without it TensorRT runs nothing");
  }
  about(
    "builderResource",
    found.builderResource,
    "engines that were built elsewhere run, but none can be built: put the file beside libnvinfer.so",
  );
  return advice;
}
