// A view of the lens. It is made anew at each stroke, and this script travels with it each time, so it is short.
export default async (component) => (await lensReady().promise)(component);
