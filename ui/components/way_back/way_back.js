// In the tab's own storage, which other websites cannot write.
const KEY = "lenet_wanted";

export default function ({ data }) {
  if (!data.signed_in) {
    sessionStorage.setItem(KEY, location.href);
    return;
  }
  const wanted = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  if (data.front && wanted && wanted !== location.href) location.replace(wanted);
}
