export const kinds = ['rye', 'oats']
