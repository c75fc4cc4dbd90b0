/** What the models say of their origin. The version is raised whenever the bytes of any model change. */
export const producer = "trtpipe-examples";
export const producerVersion = "1";
