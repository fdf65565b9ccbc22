export const beds = () => ['carrots', 'peas']
