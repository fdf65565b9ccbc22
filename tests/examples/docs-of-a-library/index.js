export const stitch = (a, b) => a + b
