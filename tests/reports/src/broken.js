export const total = (;
