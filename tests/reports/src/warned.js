export const total = (prices, unused) => prices.length;
