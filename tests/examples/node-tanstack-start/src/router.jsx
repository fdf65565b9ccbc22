export const getRouter = () => null
